"""Other maps from the same echoes."""
