"""Trains a multilingual model (the student) on bitext to imitate an English model (the teacher)."""
