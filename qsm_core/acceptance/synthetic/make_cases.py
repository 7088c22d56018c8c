"""The stage "make_cases": cases of the task product-owner with answers, from templates by a seed.

    python -m qsm_core.acceptance.synthetic.make_cases --spec spec.json

No inputs. Output: training.jsonl and evaluation.jsonl, in the form of the original's files. No
product, place or purpose is in both (`pools.py`); every case is a product of its own. `output`
holds the answer that a good product owner gives: of training cases to be learned, of evaluation
cases for comparison.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qsm_core.acceptance.synthetic.config import MakeCases
from qsm_core.acceptance.synthetic.pools import PLACES, PURPOSES, Pool
from qsm_core.acceptance.synthetic.product import TIERS, draw_product
from qsm_core.acceptance.synthetic.writing import record_of
from qsm_core.seeding import derive_rng
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

TRAINING_FILE, EVALUATION_FILE = "training.jsonl", "evaluation.jsonl"


def run(context: StageContext) -> dict[str, Any]:
    """Write both files and return how many cases they have."""
    config = parse_config(MakeCases, context.config)
    numbers: dict[Pool, int] = {"training": config.training, "evaluation": config.evaluation}
    for pool, file in (("training", TRAINING_FILE), ("evaluation", EVALUATION_FILE)):
        write_records(context.out / file, make_records(config, pool, numbers[pool]))
    return {"training": config.training, "evaluation": config.evaluation}


def make_records(config: MakeCases, pool: Pool, count: int) -> list[dict[str, Any]]:
    """Return the records of a pool.

    Fewer of the same seed are the first of more.
    """
    pairs = [(place, purpose) for place in PLACES[pool] for purpose in PURPOSES[pool]]
    order = derive_rng(config.seed, "synthetic cases", pool).permutation(len(pairs))
    records = []
    for number, place_in_pairs in enumerate(order[:count]):
        place, purpose = pairs[int(place_in_pairs)]
        rng = derive_rng(config.seed, "synthetic case", place.name, purpose.name)
        product = draw_product(place, purpose, TIERS[number % len(TIERS)], rng)
        name = f"SYN-{pool[0].upper()}{number + 1:03d}"
        records.append(record_of(name, product, example=config.example))
    return records


def write_records(path: Path, records: list[dict[str, Any]]) -> None:
    """Write records as JSON lines."""
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    run_entry(run)
