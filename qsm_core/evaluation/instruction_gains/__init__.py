"""What the searches for instructions are worth on test."""
