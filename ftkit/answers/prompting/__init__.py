"""Prompt strategies: one file each, from an example to messages. They know no tokenizer and no model."""
