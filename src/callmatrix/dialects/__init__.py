"""Other people's wire formats: parsed into our values and rendered from them, without any I/O."""
