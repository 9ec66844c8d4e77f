"""Tasks: their cards, languages and language pairs, and the code that loads their data."""
