"""What goes wrong at a site, done on purpose: see the first lines of each module."""
