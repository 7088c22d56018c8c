"""What is run: one module a flow, each reads as the method section of a paper."""
