"""What both arms are given: cases, their order, their slices."""
