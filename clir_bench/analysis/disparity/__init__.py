"""Measures how unequally a system serves languages.

It compares tiers, languages, and the languages within a pool: one corpus with documents in several
languages.
"""
