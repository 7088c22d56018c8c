"""Delimited tables as people and programs write them; knows nothing of what a table is about."""
