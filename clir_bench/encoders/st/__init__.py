"""Loads models with sentence-transformers and runs them fast."""
