"""What of Grindstone stands on a server: deployments, their schedules, and their worker."""
