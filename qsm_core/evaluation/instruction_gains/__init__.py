"""What searches for instructions gain on test."""
