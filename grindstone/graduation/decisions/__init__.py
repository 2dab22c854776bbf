"""What changes a level: examination, promotion, demotion, review."""
