"""The stages in their order, run directories, and what is done with a finished run."""
