"""Phase of the echoes to the total field."""
