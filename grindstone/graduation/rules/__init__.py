"""What must be met: levels, scopes, policies, streaks, capabilities."""
