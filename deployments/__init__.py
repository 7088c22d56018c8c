"""How qsm is stood up: deployments, and the service of one person's machine."""
