"""Where the map is valid."""
