"""Where rows come from: one file per input format. A source knows no task and no model."""
