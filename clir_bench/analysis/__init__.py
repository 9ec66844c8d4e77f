"""What results say together."""
