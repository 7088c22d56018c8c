"""Speech detectors that a user would take instead of an audio LLM."""
