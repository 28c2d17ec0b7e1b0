"""Source rows become clean train, valid and test rows. Knows no model."""
