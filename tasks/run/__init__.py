"""How the stages of one run are brought to their end: reused, queued, followed, retried."""
