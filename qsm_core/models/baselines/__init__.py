"""Speech detectors that a user could use instead of an audio LLM."""
