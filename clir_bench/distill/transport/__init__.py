"""Solves optimal transport between the tokens of two sentences."""
