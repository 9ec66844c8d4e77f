"""Bitext: read, cleaned, checked, mixed and sampled."""
