"""Publishing to the Hugging Face Hub: what may go out, how it goes there, how it is checked and withdrawn."""
