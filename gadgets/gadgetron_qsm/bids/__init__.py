"""The maps of scans as a dataset of the Brain Imaging Data Structure (BIDS)."""
