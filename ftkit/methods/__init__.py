"""Tuning methods: one file each, saying what is trainable and how it is saved. The loop is not theirs."""
