"""Metrics: one file each, pure functions on predictions."""
