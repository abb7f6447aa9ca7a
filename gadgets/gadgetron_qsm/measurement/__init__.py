"""What is measured in the maps of a scan, by its settings, when they have been delivered."""
