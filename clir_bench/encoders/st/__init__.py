"""Models that sentence-transformers loads."""
