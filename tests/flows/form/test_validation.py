"""Empty text in parameters: what a shell variable that is not set leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from flows import compare_models, complete_pipeline, optimize_prompt, parity_check
from flows.form.validation import parse_model
from flows.speech.compare_parameters import CompareParameters
from flows.speech.optimize_parameters import OptimizeParameters
from flows.speech.parameters import PipelineParameters
from flows.speech.parity_parameters import ParityParameters
from qsm_core.errors import ConfigurationError

MODELS = (PipelineParameters, OptimizeParameters, ParityParameters, CompareParameters)
FLOWS: tuple[tuple[Any, type[BaseModel]], ...] = (
    (complete_pipeline.complete_pipeline, PipelineParameters),
    (optimize_prompt.optimize_prompt, OptimizeParameters),
    (parity_check.parity_check, ParityParameters),
    (compare_models.compare_models, CompareParameters),
)


def _texts(model: type[BaseModel], holds: Callable[[Any], bool]) -> list[str]:
    return [name for name, field in model.model_fields.items() if holds(field.annotation)]


def _is_text(annotation: Any) -> bool:
    if get_origin(annotation) in (list, Literal):
        return False
    return annotation is str or any(_is_text(part) for part in get_args(annotation))


@pytest.mark.parametrize("blank", ["", " ", "\t\n"])
@pytest.mark.parametrize("model", MODELS)
def test_empty_text_is_refused_for_every_field(model: type[BaseModel], blank: str) -> None:
    texts = _texts(model, _is_text)
    lists = _texts(model, lambda annotation: get_origin(annotation) is list)
    assert {"store", "results", "name", "cluster"} <= {*texts}
    assert "force" in lists
    values = {**dict.fromkeys(texts, blank), **{name: ["corpus", blank] for name in lists}}
    with pytest.raises(ConfigurationError) as caught:
        parse_model(model, values)
    problems = caught.value.problems
    assert [line.partition(" = ")[0] for line in problems if ": empty; leave" in line] == list(
        values
    )
    assert f"store = {blank!r}: empty; leave store out for its default" in "\n".join(problems)
    assert len({line.partition(" = ")[0] for line in problems}) == len(problems), "once each"


@pytest.mark.parametrize(("flow", "model"), FLOWS)
def test_an_empty_box_of_the_form_is_the_default(flow: Any, model: type[BaseModel]) -> None:
    """Also where its text has a least length: what the form sends reaches no other check here."""
    fields = model.model_fields
    boxes = [name for name in _texts(model, _is_text) if not fields[name].is_required()]
    given = {"sources": ["a.csv", ""]} if "sources" in fields else {}
    for blank in ("", " "):
        sent = flow.validate_parameters({**dict.fromkeys(boxes, blank), **given})
        assert {name: sent[name] for name in boxes} == {
            name: fields[name].default for name in boxes
        }
    assert sent.get("sources", ["a.csv"]) == ["a.csv"]
