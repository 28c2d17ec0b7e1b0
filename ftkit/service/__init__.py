"""What people use around a run."""
