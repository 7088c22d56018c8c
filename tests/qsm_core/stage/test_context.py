"""The configuration of a stage is checked as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from qsm_core.errors import ConfigurationError, InterruptedStageError, is_transient
from qsm_core.stage.context import StageContext, parse_config


@dataclass(frozen=True)
class Inner:
    seeds: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Config:
    rate: float
    kind: Literal["a", "b"] = "a"
    inner: Inner = field(default_factory=Inner)
    limit: int | None = None


def test_a_configuration_becomes_its_dataclass():
    values = {"rate": 1, "kind": "b", "inner": {"seeds": [3, 4]}}
    assert parse_config(Config, values) == Config(1.0, "b", Inner((3, 4)))


def test_every_wrong_field_is_reported():
    with pytest.raises(ConfigurationError) as caught:
        parse_config(Config, {"kind": "c", "limit": "3"})
    text = "\n".join(caught.value.problems)
    assert "rate: is missing" in text
    assert "kind = 'c': Input should be 'a' or 'b'" in text
    assert "limit = '3'" in text


def test_unknown_fields_are_refused_at_any_depth():
    with pytest.raises(ConfigurationError) as caught:
        parse_config(Config, {"rate": 1.0, "rte": 2, "inner": {"seed": 3}})
    assert "rte = 2: there is no such field; there are: rate" in caught.value.problems[0]
    assert "inner.seed = 3" in caught.value.problems[1]


def test_a_stage_ends_where_it_should_stop():
    reasons = iter([None, "the job's walltime ends", "the job's walltime ends"])
    folders = {"out": Path("out"), "work": Path("work")}
    context = StageContext(
        {}, {}, **folders, runtime={}, report=lambda *_: None, stop=lambda: next(reasons)
    )
    context.stop_if_requested("nothing is lost")
    assert context.stop_requested() == "the job's walltime ends"
    with pytest.raises(InterruptedStageError, match="walltime ends; all is kept") as end:
        context.stop_if_requested("all is kept")
    assert is_transient(end.value)


def test_a_stage_continues_where_nobody_stops_it():
    context = StageContext({}, {}, Path("out"), Path("work"), {}, lambda *_: None)
    assert context.stop_requested() is None
