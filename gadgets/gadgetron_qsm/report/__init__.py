"""What a run leaves for people: report.json, a picture, accuracy against a known truth."""
