"""The teacher, the student, and what a finished model folder says."""
