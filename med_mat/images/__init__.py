"""What is published of an image file."""
