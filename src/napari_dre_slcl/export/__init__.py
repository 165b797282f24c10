"""What leaves the program: pages that a browser shows."""
