"""The stage "make_recordings": long recordings made from a seed, divided by groups.

    python -m qsm_core.detection.make_recordings --spec spec.json

Output: a prepared set with its audio (`prepared.py`), and recordings.csv and annotations.csv, the
form in which a user would give them.
"""

from __future__ import annotations

from typing import Any

from qsm_core.detection.annotations.checks import check_recordings
from qsm_core.detection.annotations.own_tables import write_own_tables
from qsm_core.detection.divide import divide, group_sizes, seconds_of
from qsm_core.detection.synthetic import write_audio
from qsm_core.detection.synthetic_config import MakeRecordings
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry


def run(context: StageContext) -> dict[str, Any]:
    """Write the recordings and return what is in them."""
    config = parse_config(MakeRecordings, context.config)
    made = check_recordings(write_audio(context.out, config.recordings)).raise_if_any()
    divided = divide(made.recordings, made.annotations, config.division)
    write_own_tables(context.out, made.with_recordings(divided))
    return {
        "recordings": len(divided),
        "seconds": float(seconds_of(divided).sum()),
        "events": len(made.annotations),
        "groups": group_sizes(divided),
    }


if __name__ == "__main__":
    run_entry(run)
