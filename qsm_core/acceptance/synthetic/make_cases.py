"""The stage "make_cases": cases of a task that comes with qsm, with answers, by a seed.

    python -m qsm_core.acceptance.synthetic.make_cases --spec spec.json

No inputs. Output: training.jsonl and evaluation.jsonl, which share no group and hardly a word of
what the cases are about (`pools.py`, `orders.py`). What a right answer holds stands in `output` or
`expected`: of training cases to be learned, of evaluation cases for comparison.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qsm_core.acceptance.synthetic import orders
from qsm_core.acceptance.synthetic.config import EVALUATION_FILE, TRAINING_FILE, MakeCases
from qsm_core.acceptance.synthetic.pools import PLACES, PURPOSES, Pool
from qsm_core.acceptance.synthetic.product import TIERS, draw_product
from qsm_core.acceptance.synthetic.writing import product_record
from qsm_core.seeding import derive_rng
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

TRAINING: Pool = "training"
EVALUATION: Pool = "evaluation"


def run(context: StageContext) -> dict[str, Any]:
    """Write both files and return how many cases they have."""
    config = parse_config(MakeCases, context.config)
    for file, pool, count in (
        (TRAINING_FILE, TRAINING, config.training),
        (EVALUATION_FILE, EVALUATION, config.evaluation),
    ):
        write_records(context.out / file, make_records(config, pool, count))
    return {"training": config.training, "evaluation": config.evaluation}


def make_records(config: MakeCases, pool: Pool, count: int) -> list[dict[str, Any]]:
    """Return the records of a pool.

    Fewer of the same seed are the first of more.
    """
    make = _products if config.task == "product-owner" else _orders
    return list(make(config, pool, count))


def _products(config: MakeCases, pool: Pool, count: int) -> Iterator[dict[str, Any]]:
    pairs = [(place, purpose) for place in PLACES[pool] for purpose in PURPOSES[pool]]
    order = derive_rng(config.seed, "synthetic cases", pool).permutation(len(pairs))
    for number, chosen in enumerate(order[:count]):
        place, purpose = pairs[int(chosen)]
        rng = derive_rng(config.seed, "synthetic case", place.name, purpose.name)
        product = draw_product(place, purpose, TIERS[number % len(TIERS)], rng)
        yield product_record(_name(pool, number), product, example=config.example)


def _orders(config: MakeCases, pool: Pool, count: int) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for number in range(count):
        tier = orders.TIERS[number % len(orders.TIERS)]
        for attempt in itertools.count():
            rng = derive_rng(config.seed, "synthetic order", pool, number, attempt)
            record = orders.order_record(_name(pool, number), pool, tier, rng)
            if record["input"]["text"] not in seen:
                break
        seen.add(record["input"]["text"])
        yield record


def _name(pool: Pool, number: int) -> str:
    return f"SYN-{pool[0].upper()}{number + 1:03d}"


def write_records(path: Path, records: list[dict[str, Any]]) -> None:
    """Write records as JSON lines."""
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    run_entry(run)
