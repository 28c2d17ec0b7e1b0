"""The data report: what is in the splits and what became of every row, as values and as a page."""
