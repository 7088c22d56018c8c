"""The one audio format in memory: float32, mono, shape (T,), 16 kHz."""

SAMPLE_RATE_HZ = 16_000
