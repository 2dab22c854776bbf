"""What grind and adapt learn by: batches, failures that are confirmed, and planted tasks."""
