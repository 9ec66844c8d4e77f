"""Runs and judgments to numbers."""
