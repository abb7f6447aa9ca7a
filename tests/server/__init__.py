"""The server's processes, with jobs that do nothing but what a test tells them."""
