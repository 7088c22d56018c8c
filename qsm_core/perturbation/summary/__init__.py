"""Tables of an experiment; every one is a function of its rows."""
