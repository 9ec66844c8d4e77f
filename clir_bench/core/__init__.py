"""Files, locks, tables and other basics that any program needs; nothing here is about retrieval."""
