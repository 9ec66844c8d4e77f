"""Makes leaderboards ("boards") from stored results, as Markdown, CSV and a static website."""
