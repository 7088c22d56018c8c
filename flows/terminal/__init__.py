"""A flow run from a terminal: its flags, its display, its Prefect server, its processes."""
