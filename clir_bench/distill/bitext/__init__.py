"""Reads, cleans, checks, mixes and samples bitext: sentences with their translations."""
