"""All tables of a report from predictions: metrics, intervals, tests, curves."""
