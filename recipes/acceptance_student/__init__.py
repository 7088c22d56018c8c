"""How the adapters of SmolLM2 for the acceptance of adapters were made."""
