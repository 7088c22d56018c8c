"""Instructions times clips to predictions: prompts, answers, scoring and parsing."""
