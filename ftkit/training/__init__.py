"""Methods of tuning, and the Trainer that stands alone."""
