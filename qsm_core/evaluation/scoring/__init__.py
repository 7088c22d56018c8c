"""Scoring a system on clips in conditions: blocks, shards, known answers."""
