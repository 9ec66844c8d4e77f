"""Loads the teacher, makes the student, and writes the card of the finished model."""
