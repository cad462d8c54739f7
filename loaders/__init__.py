"""One module per source: where its files are and what each is called."""
