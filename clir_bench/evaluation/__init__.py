"""Evaluates a system on a task, and stores the result."""
