"""Pure numbers: paired statistics, power, cost. Knows no row's text and no model."""
