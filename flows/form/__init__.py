"""From one parameter model to a form of the UI, flags of a terminal, and checked values."""
