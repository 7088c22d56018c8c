"""Text language models: the optimizer LLM, in this process or behind a server."""
