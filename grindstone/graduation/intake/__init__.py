"""How episodes come in: recorded, imported, done live."""
