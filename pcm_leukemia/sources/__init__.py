"""Loaders of the other public data sets, one module each, found by being here."""
