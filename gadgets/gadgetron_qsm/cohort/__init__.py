"""Replay of many scans: which there are, who computes them, what of them is done."""
