"""The search itself: races on blocks of dev, its budget, its course, its output."""
