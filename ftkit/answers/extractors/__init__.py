"""Extractors: one file each, from what a model wrote to the answer in it, or None. They know no model."""
