"""What the code of a stage receives, and how it is run, stopped and monitored."""
