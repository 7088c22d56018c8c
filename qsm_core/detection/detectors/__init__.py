"""Detectors of sound events in long recordings: how they are trained, and how they score."""
