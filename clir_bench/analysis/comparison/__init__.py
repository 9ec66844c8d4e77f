"""Compares systems question by question: what differs, by how much, and how certain that is."""
