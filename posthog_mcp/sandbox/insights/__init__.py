"""Insights: trends, funnels, retention, paths, lifecycle and stickiness, and the people behind a point."""
