"""What people look at: the page of a verdict and the page of the data."""
