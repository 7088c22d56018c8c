"""Rows of generated texts and of cells, the original's files, and samples."""
