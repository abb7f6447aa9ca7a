"""Coil images to one complex image an echo."""
