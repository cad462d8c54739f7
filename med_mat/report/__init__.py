"""A build as one static page: what is in it, source by source, with sample pictures."""
