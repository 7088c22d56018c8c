"""Events from score tracks: threshold, hysteresis, gaps, durations."""
