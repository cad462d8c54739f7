"""Questions and options."""
