"""Intervals and tests for clips that come in groups. Arrays in, values out; no tables, no torch."""
