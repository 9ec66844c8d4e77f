"""Files, names, locks and records: what knows nothing of retrieval."""
