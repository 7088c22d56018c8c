"""Stage `make_rirs`: the bank of room impulse responses that an evaluation uses.

Run alone as `python -m qsm_core.conditions.rir_stage --spec spec.json`.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from qsm_core.conditions.config import RirConfig
from qsm_core.conditions.rirs import RirBank, load_rirs, simulate_rirs
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

BANK_FILE = "rirs.npz"


def run(context: StageContext) -> dict[str, Any]:
    """Write `rirs.npz` and a table of the measured T60 of every response.

    Input `recorded` (a folder of impulse responses) is used where it is given; otherwise rooms
    are simulated.
    """
    config = parse_config(RirConfig, context.config)
    context.report(0, 1, "impulse responses")
    if "recorded" in context.inputs:
        bank = load_rirs(context.inputs["recorded"], t60s_s=config.t60s_s, per_t60=config.per_t60)
    else:
        bank = simulate_rirs(config.seed, t60s_s=config.t60s_s, per_t60=config.per_t60)
    bank.save(context.out / BANK_FILE)
    table = _table(bank)
    table.to_csv(context.out / "rirs.csv", index=False)
    context.report(1, 1, f"{len(table)} impulse responses")
    return {"num_responses": len(table), "recorded": "recorded" in context.inputs}


def _table(bank: RirBank) -> pd.DataFrame:
    rows = [
        {"nominal_t60_s": level, "name": response.name, "measured_t60_s": response.t60_s}
        for level, responses in sorted(bank.responses.items())
        for response in responses
    ]
    return pd.DataFrame(rows, columns=["nominal_t60_s", "name", "measured_t60_s"])


if __name__ == "__main__":
    run_entry(run)
