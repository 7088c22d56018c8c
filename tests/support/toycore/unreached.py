"""Reached by nobody."""

VALUE = 1
