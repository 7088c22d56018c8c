"""What the speech system puts on its page."""
