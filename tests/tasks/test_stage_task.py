"""A stage is a Prefect task of its own name, and takes its own configuration and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
from prefect.tasks import Task
from pydantic import Field

from qsm_core.errors import ConfigurationError, SpecError
from tasks.run.config_values import config_values
from tasks.stage_task import all_stages, stage
from tasks.workers.call import Receipt, StageCall
from tests.support.dice.core import ThrowConfig
from tests.support.dice.stages import throw_dice, throw_share


@dataclass(frozen=True)
class Nested:
    """A part of a configuration."""

    low: int = 0


@dataclass(frozen=True)
class Config:
    """A configuration."""

    share: Annotated[float, Field(gt=0, lt=1)]
    names: tuple[str, ...] = ()
    nested: Nested = Nested()


@stage(entry="tests.support.dice.core:throw_dice", config=Config, retries=5, retry_delay_s=1)
def declared_here(call: StageCall) -> Receipt:
    """Say what it does."""
    return call.run()


def test_every_stage_is_a_task_with_name_description_and_tags():
    stages = all_stages()
    assert {"train_lora", "evaluate", "optimize_prompt", "make_report", "make_corpus"} <= set(
        stages
    )
    for name, one in stages.items():
        assert isinstance(one, Task)
        assert one.name == name == one.definition.name
        assert one.description
        assert one.tags == {"qsm", name, one.definition.resource}


def test_retries_and_delays_are_its_own():
    assert declared_here.retries == 5
    assert declared_here.retry_delay_seconds == [1, 2, 4, 8, 16]
    assert throw_dice.retries == 2


def test_two_stages_of_one_name_are_refused():
    declare = stage(entry="tests.support.dice.core:report_dice", config=Config)

    def throw_dice(call: StageCall) -> Receipt:
        """Another one of the same name."""
        return call.run()

    with pytest.raises(SpecError, match="two stages are called 'throw_dice'"):
        declare(throw_dice)


def test_a_configuration_has_all_its_values_in_the_key():
    assert config_values(declared_here, Config(0.5, ("a",)), "x") == {
        "share": 0.5,
        "names": ["a"],
        "nested": {"low": 0},
    }


def test_the_configuration_of_another_stage_is_refused():
    with pytest.raises(SpecError, match="takes a Config, and was given a ThrowConfig"):
        config_values(declared_here, ThrowConfig(seed=1), "x")
    with pytest.raises(SpecError, match="takes a ThrowConfig, and was given a dict"):
        config_values(throw_dice, {"sead": 1}, "x")


def test_a_misspelt_field_fails_where_the_flow_writes_it():
    with pytest.raises(TypeError, match="trows"):
        ThrowConfig(seed=1, trows=4)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (Config(1.5), "share = 1.5"),
        (Config("0.5"), "share = '0.5'"),  # type: ignore[arg-type]
        (Config(0.5, ("a", 3)), "names.1 = 3"),  # type: ignore[arg-type]
        (Config(0.5, nested=Nested("low")), "nested.low = 'low'"),  # type: ignore[arg-type]
    ],
)
def test_a_value_that_a_worker_would_refuse_fails_here(config, problem):
    with pytest.raises(ConfigurationError, match=problem):
        config_values(declared_here, config, "x")


def test_a_stage_with_shards_may_be_given_parts():
    assert "parts" in throw_dice.traits.runtime_names
    assert "parts" in throw_share.traits.runtime_names
    assert "parts" not in declared_here.traits.runtime_names
