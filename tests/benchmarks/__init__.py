"""Benchmarks: 'make bench'. Ratios within one run; the machines are noisy."""
