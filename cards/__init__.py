"""One card per source: what it is, what its labels mean, who owns it."""
