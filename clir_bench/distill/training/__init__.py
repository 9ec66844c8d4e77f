"""Losses, batches and the loop that trains a student."""
