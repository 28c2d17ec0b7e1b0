"""Cleaning steps: one file each, pure functions from a table to a table and its events. No files, no network."""
