"""Trains a student: batches, losses, optimiser, checkpoints and the training loop."""
