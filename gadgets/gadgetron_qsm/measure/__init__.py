"""From a map to numbers: regions, statistics, sources, visits."""
