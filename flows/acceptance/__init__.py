"""What the flow of the acceptance of a student does."""
