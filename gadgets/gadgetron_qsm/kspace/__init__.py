"""Readouts to coil images."""
