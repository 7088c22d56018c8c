"""A small system beside the others, built as CONTRIBUTING says."""
