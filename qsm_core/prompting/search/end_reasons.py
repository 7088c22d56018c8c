"""Why a search ends and why a candidate is dropped, in words."""

from __future__ import annotations

from qsm_core.plurals import counted

NO_BUDGET = "what is left of the budget holds no further step"


def all_made(steps: int, empty: int = 0) -> str:
    """Return that every step of the settings was made.

    Args:
        steps: How many steps.
        empty: How many of the last steps brought no valid new candidate.
    """
    if steps == 0:
        return "no step was asked for"
    made = "the one step was made" if steps == 1 else f"all {steps} steps were made"
    if empty == 0:
        return made
    return f"{made}, the last {empty if empty > 1 else 'one'} without a valid new candidate"


def behind(leader: int, by: float, rows: int, gain: float) -> str:
    """Return that a candidate would hardly gain anything over the leader.

    Args:
        leader: Its number.
        by: By how much it is better.
        rows: On how many rows.
        gain: What the candidate would gain over it on average.
    """
    ahead = f"candidate {leader} is better by {by:.3f} on {rows} rows"
    return f"{ahead} (expected gain over it {gain:.2g})"


def no_better(steps: int) -> str:
    """Return that patience has run out."""
    return f"{counted(steps, 'step')} brought no better candidate"


def no_new(steps: int) -> str:
    """Return that the proposers have no new texts."""
    return f"{counted(steps, 'step')} in a row brought no valid new candidate"


def outranked(others: int) -> str:
    """Return that as many other candidates as there are finalists are ahead."""
    return f"{counted(others, 'other')} {'has' if others == 1 else 'have'} a better estimate"
