"""The teacher, the student, and the card of a finished model folder."""
