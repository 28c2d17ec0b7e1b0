"""What a user may ask: the schema of recipes, their YAML with places, and every mistake at once."""
