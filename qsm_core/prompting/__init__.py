"""Search for the instruction that makes a model the best detector: templates, proposers, loop."""
