"""The one way through: from a system and a task to a result."""
