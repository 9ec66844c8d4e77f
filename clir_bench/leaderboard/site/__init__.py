"""Writes the leaderboards as a static site: plain files, no server, no outside resources."""
