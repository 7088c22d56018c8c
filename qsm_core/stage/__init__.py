"""What the code of a stage is given, and how it is run, stopped and followed."""
