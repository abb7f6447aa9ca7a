"""Streaming quantitative susceptibility mapping: raw k-space in, a series in ppb out."""

__version__ = "0.1.0"
