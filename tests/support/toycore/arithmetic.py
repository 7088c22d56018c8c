"""Reached by `count`, from inside a function."""


def plus(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b
