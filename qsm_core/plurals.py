"""Numbers with their nouns, for sentences that people read."""


def counted(count: float, noun: str) -> str:
    """Return a number with its noun: 1 step, 2 steps."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
