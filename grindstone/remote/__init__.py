"""A home in object storage: what is kept there, and the folder of this machine that shows it."""
