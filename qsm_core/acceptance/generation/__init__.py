"""Answers of one arm: prompts, batches, retries, and a record of every attempt."""
