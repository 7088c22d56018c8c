"""A detector at work on recordings that nobody annotated: what is there, and what was found."""
