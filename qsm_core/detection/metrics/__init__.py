"""How well detections fit annotations; every metric is a pure function of the two tables."""
