"""A row asked and answered: prompts, scores and texts, extractors, metrics, floors."""
