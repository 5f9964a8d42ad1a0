"""One module per format, found by being here: each has `write`, and `read` where the format can be read back."""
