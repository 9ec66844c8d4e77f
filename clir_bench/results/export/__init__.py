"""Results as other places take them: mteb, the Hugging Face Hub, ir_metadata."""
