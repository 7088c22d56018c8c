"""The table of predictions, and the forms in which others provide theirs."""
