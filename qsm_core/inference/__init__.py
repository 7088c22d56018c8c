"""From instructions and clips to predictions: prompts, answers, scoring and parsing."""
