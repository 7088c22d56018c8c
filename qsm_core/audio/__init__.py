"""Audio in memory: reading, resampling, level, framing, synthesis."""
