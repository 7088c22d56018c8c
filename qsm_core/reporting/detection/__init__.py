"""What a benchmark of detectors puts on its page."""
