"""Reads, cleans, checks, mixes and samples bitext."""
