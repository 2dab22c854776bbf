"""Attempts made by the workers of a pool: cut into slices, sent, watched, and taken back."""
