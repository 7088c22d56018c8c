"""Result files of the original's form and cases for them, small."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.product_owner import CONCEPT, REQUIREMENTS, alignment, answer_text

TIERS = ("simple", "medium")
GOOD = answer_text()
BROKEN = GOOD.replace("narrative: ", "narrative: first\nnext line ")
FEW_ACTIONS = answer_text(review={"recommended_actions": ["Only one"]})
POORER = answer_text(review=alignment(aligned=["FR001 reserves an allotment for a season"]))


def write_cases(path: Path, count: int) -> Path:
    """Write cases of the task product-owner named P1, P2 and so on."""
    lines = [
        json.dumps(
            {
                "concept_id": f"P{number}",
                "tier": TIERS[number % 2],
                "concept": CONCEPT,
                "requirements_yaml": REQUIREMENTS,
            }
        )
        for number in range(1, count + 1)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_result_file(path: Path, answers: list[str], *, score: float = 0.8) -> Path:
    """Write answers to P1, P2 and so on, all of which the file calls valid."""
    results = [
        {
            "concept_id": f"P{number}",
            "tier": TIERS[number % 2],
            "status": "success",
            "attempts": 1,
            "score": score,
            "raw_response": answer,
        }
        for number, answer in enumerate(answers, start=1)
    ]
    document = {
        "config": {"model": "a/model", "adapter_path": None},
        "total_samples": len(results),
        "valid_samples": len(results),
        "failed_samples": 0,
        "metrics": {},
        "results": results,
    }
    path.write_text(json.dumps(document))
    return path
