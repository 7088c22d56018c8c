"""The texts of instructions: cleaned, checked, compared, read from files."""
