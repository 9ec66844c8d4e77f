"""Turns runs and judgments into numbers."""
