"""Experiments: their documents, and their results computed from events."""
