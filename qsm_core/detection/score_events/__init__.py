"""Score any table or folder of events against another."""
