"""Sections of the report: one file each, from a finished comparison to HTML and Markdown."""
