"""Teaches a multilingual student, from bitext, what an English teacher knows."""
