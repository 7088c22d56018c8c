"""Which weights of a language model may be damaged, how much, and what breaks."""
