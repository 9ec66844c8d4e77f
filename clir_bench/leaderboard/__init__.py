"""Makes boards from stored results, and Markdown, CSV and a static site from boards."""
