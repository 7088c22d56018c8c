"""What the arms answered, case by case, and the files that hold it."""
