"""Optimal transport between the tokens of two sentences."""
