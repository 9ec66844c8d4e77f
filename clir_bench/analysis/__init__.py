"""Compares systems, and measures how unequally they serve languages."""
