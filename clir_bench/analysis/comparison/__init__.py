"""Compares systems query by query: how large the differences are, and how certain."""
