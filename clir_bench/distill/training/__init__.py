"""Trains a student: losses, batches and the loop."""
