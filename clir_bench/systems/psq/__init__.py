"""Probabilistic structured queries: translation tables and what they make of a query."""
