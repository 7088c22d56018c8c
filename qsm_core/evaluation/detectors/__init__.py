"""Plain speech detectors on the same clips, with a threshold fitted on dev."""
