"""A case of the task product-owner and answers to it, good and bad."""

from pathlib import Path

import yaml

from qsm_core.acceptance.cases.record import Case

REQUIREMENTS = """\
title: Allotment register
functional_requirements:
- id: FR001
  description: Reserve an allotment for a season.
- id: FR002
  description: Show the waiting list to gardeners.
non_functional_requirements:
- id: NFR001
  description: Answers arrive within two seconds.
constraints:
- id: C001
  description: Data stays within the municipality.
"""
CONCEPT = "A register of allotments that gardeners and the municipality share."
VISION = {
    "product_name": "Allotment register",
    # 79 characters: 60 or more, fewer than 120.
    "product_summary": "A register of allotments in which gardeners and municipality see the "
    "same list.",
    "target_users": ["Gardeners", "Clerks of the municipality"],
    "value_proposition": ["One list for all", "No calls about the waiting list"],
    "key_capabilities": ["Reservation for a season", "A public waiting list"],
    "non_goals": [],
    "success_metrics": ["Calls a week", "Days until an allotment is given"],
    "last_updated": "2025-02-03",
}
REVIEW = {
    "status": "aligned",
    "summary": ["The requirements serve the vision", "Nothing contradicts it"],
    "requirements_alignment": {
        "aligned": [
            "FR001 reserves an allotment for a season",
            "FR002 makes the waiting list public",
            "NFR001 keeps answers within two seconds",
            "C001 keeps the data within the municipality",
        ],
        "gaps": [],
        "conflicts": [],
    },
    "recommended_actions": ["Write acceptance tests for FR001", "Ask gardeners about FR002"],
    # 87 characters: 80 or more, fewer than 160.
    "narrative": "All four requirements serve the vision; work on reservations can begin at any "
    "time now.",
}


def product_case(case_id: str = "PO-1", tier: str = "simple") -> Case:
    return Case(case_id, {"concept": CONCEPT, "requirements_yaml": REQUIREMENTS}, {"tier": tier})


def blocks(vision: str, review: str) -> str:
    return f"```yaml VISION\n{vision}\n```\n```yaml REVIEW\n{review}\n```"


def answer_text(vision: dict | None = None, review: dict | None = None) -> str:
    """Return a valid answer, with some keys replaced."""
    return blocks(
        yaml.safe_dump(VISION | (vision or {}), sort_keys=False).strip(),
        yaml.safe_dump(REVIEW | (review or {}), sort_keys=False).strip(),
    )


def alignment(**lists: list | None) -> dict:
    """Return a review's alignment with some of its lists replaced."""
    return {"requirements_alignment": REVIEW["requirements_alignment"] | lists}


def write_task(folder: Path, **changes: object) -> Path:
    """Write a small task folder; a changed key replaces one of task.yaml, None removes it."""
    folder.mkdir(parents=True, exist_ok=True)
    definition = {
        "name": "capitals",
        "title": "Capitals",
        "inputs": ["country"],
        "prompt": {"template": "prompt.jinja"},
        "parts": [{"name": "fact", "kind": "json", "schema": "fact.schema.json"}],
        "rubrics": {"right": [{"check": "equals", "part": "fact", "path": "capital"}]},
        "rubric": "right",
    } | changes
    kept = {key: value for key, value in definition.items() if value is not None}
    (folder / "task.yaml").write_text(yaml.safe_dump(kept))
    (folder / "prompt.jinja").write_text("What is the capital of {{ country }}?\n")
    (folder / "fact.schema.json").write_text(
        '{"type": "object", "properties": {"capital": {"type": "string"}}, "required": ["capital"]}'
    )
    return folder
