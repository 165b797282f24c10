"""Loops that join cohort, tiles, model and method."""
