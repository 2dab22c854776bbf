"""What counts: an agent's record, its measures, its readiness."""
