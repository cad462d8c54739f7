"""Gets official downloads, each through its platform's own way."""
