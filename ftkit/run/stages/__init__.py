"""The stages: each reads the artifacts of earlier ones and writes its own into the folder it is given."""
