"""Converts results to the formats of mteb, the Hugging Face Hub and ir_metadata."""
