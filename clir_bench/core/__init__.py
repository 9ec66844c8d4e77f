"""Files, names, locks and records: everything here knows nothing of retrieval."""
