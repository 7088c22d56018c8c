"""The second stage: a random forest that keeps the detections that sound like hits."""
