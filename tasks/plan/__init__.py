"""What a run would do, how long that may take, and what it cost in the end."""
