"""Gates with and without uncertainty, paired tests, and the comparison of many runs."""
