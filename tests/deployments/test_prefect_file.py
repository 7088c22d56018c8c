"""The deployments as they stand in the file."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).parents[2] / "deployments" / "prefect.yaml"
DEPLOYMENTS = yaml.safe_load(FILE.read_text())["deployments"]


def _flow(deployment: dict[str, Any]) -> Any:
    module, _, name = deployment["entrypoint"].rpartition(".")
    return getattr(importlib.import_module(module), name)


def test_names() -> None:
    names = {f"{_flow(one).name}/{one['name']}" for one in DEPLOYMENTS}
    assert names >= {
        "complete-pipeline/embedded",
        "complete-pipeline/slurm",
        "complete-pipeline/qwen2-audio-7b",
        "reap-orphans/reap-orphans",
        "accept-adapter/accept-adapter",
        "detect/detect",
        "parity-check/parity-check",
        "perturb-weights/perturb-weights",
        "optimize-prompt/optimize-prompt",
    }
    assert len(names) == len(DEPLOYMENTS)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["name"])
def test_one_at_a_time_never_by_the_clock(deployment: dict[str, Any]) -> None:
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
    assert all(schedule["active"] is False for schedule in deployment["schedules"])
    assert deployment["work_pool"]["name"] == "qsm-local"
    assert deployment["description"].strip()


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["name"])
def test_its_form_can_be_drawn(deployment: dict[str, Any]) -> None:
    properties = _flow(deployment).parameters.properties
    assert set(deployment.get("parameters", {})) <= set(properties)
    for name, one in properties.items():
        assert one.get("description"), name
        assert one["title"] != name or "_" not in name, name
        # A union is drawn as a choice of types, and loses values.
        assert "anyOf" not in one, name
        assert one["type"] in {"string", "integer", "number", "boolean", "array"}, name
