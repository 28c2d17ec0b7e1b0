"""The engine: token ids in, numbers out. It knows no recipe, no stage and no component."""
