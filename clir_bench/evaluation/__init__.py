"""Evaluates systems on tasks: from a system and a task to a stored result."""
