"""The wire: job files in, event lines out."""
