"""Tables of events as people and programs write them: read, checked, written."""
