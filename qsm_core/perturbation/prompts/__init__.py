"""The built-in prompts, by task, and prompts of a user's own file."""
