"""Leaderboards: stored results to boards, and boards to Markdown, CSV and a static site."""
