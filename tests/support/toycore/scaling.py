"""Reached by `total`."""

FACTOR = 1
