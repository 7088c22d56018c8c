"""Training a student on cases with answers."""
