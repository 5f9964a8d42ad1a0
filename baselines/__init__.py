"""One module per reference model, with its numbers in a .toml beside it."""
