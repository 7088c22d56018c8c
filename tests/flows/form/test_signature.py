from __future__ import annotations

from typing import Any

from prefect import flow
from pydantic import MISSING, BaseModel, Field

from flows.form.signature import flat_parameters


class Settings(BaseModel):
    rate: float = Field(0.5, gt=0, description="How fast.")
    names: list[str] = Field(default_factory=list, description="Whose.")
    num_steps: int | None = Field(None, ge=1, description="Empty: as many as needed.")


@flow(name="toy")
@flat_parameters(Settings, Settings.model_validate, {"rate": "Speed"})
def toy(settings: Any) -> Any:
    """Do the toy thing."""
    return settings


def test_the_form_shows_each_field_with_its_text_and_bounds() -> None:
    properties = toy.parameters.model_dump()["properties"]
    assert properties["rate"] == {
        "default": 0.5,
        "description": "How fast.",
        "exclusiveMinimum": 0.0,
        "position": 0,
        "title": "Speed · Rate",
        "type": "number",
    }
    assert properties["names"]["position"] == 1


def test_an_empty_field_is_one_box_and_sends_nothing() -> None:
    assert toy.parameters.model_dump()["properties"]["num_steps"] == {
        "description": "Empty: as many as needed.",
        "minimum": 1,
        "position": 2,
        "title": "Speed · Number of steps",
        "type": "integer",
    }


def test_an_empty_field_is_none_for_the_flow() -> None:
    for empty in ({}, {"num_steps": None}, {"num_steps": ""}, {"num_steps": MISSING}):
        assert toy.fn(**toy.validate_parameters(empty)) == Settings()
    assert toy.validate_parameters({"num_steps": "3"})["num_steps"] == 3


def test_the_function_gets_one_object() -> None:
    assert toy.fn(rate=2.0) == Settings(rate=2.0)


def test_text_from_a_terminal_is_turned_into_the_field_s_type() -> None:
    assert toy.validate_parameters({"rate": "0.25"})["rate"] == 0.25
