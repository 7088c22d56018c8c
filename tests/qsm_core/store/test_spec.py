"""What is in a key, and what is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qsm_core.errors import SpecError
from qsm_core.store.spec import NOT_INSTALLED, StageInput, StageSpec, build_spec


def test_every_part_changes_the_key(toys):
    inputs = {"corpus": StageInput(Path("/a"), "1" * 64)}
    spec = build_spec(toys.count, {"n": 3}, inputs)
    others = [
        build_spec(toys.count, {"n": 4}, inputs),
        build_spec(toys.count, {"n": 3.0}, inputs),
        build_spec(toys.count, {"n": 3}, {"corpus": StageInput(Path("/a"), "2" * 64)}),
        build_spec(toys.count, {"n": 3}, {"data": inputs["corpus"]}),
        build_spec(replace(toys.count, schema=2), {"n": 3}, inputs),
        build_spec(replace(toys.count, name="count_more"), {"n": 3}, inputs),
        replace(spec, libraries={"numpy": "0.1"}),
        replace(spec, code={**spec.code, "qsm_core.errors": "0"}),
    ]
    assert len({one.key for one in [spec, *others]}) == len(others) + 1


def test_paths_are_not_in_the_key(toys):
    one = build_spec(toys.count, {}, {"corpus": StageInput(Path("/here"), "1" * 64)})
    two = build_spec(toys.count, {}, {"corpus": StageInput(Path("/there"), "1" * 64)})
    assert one.key == two.key


def test_a_spec_read_back_has_the_same_key(toys):
    spec = build_spec(toys.count, {"n": 3, "t": (1, 2)}, {})
    assert StageSpec.from_json(spec.to_json()).key == spec.key
    with pytest.raises(SpecError, match="not the spec of a stage"):
        StageSpec.from_json({"stage": "count", "surprise": 1})


def test_versions_are_read_without_import(toys):
    definition = replace(toys.count, libraries=("numpy", "no-such-library"))
    spec = build_spec(definition, {}, {})
    assert spec.libraries == {"no-such-library": NOT_INSTALLED, "numpy": np.__version__}


def test_what_cannot_be_a_key_is_refused(toys):
    with pytest.raises(SpecError, match=r"stage count: config\.lr = nan"):
        build_spec(toys.count, {"lr": float("nan")}, {})
    with pytest.raises(SpecError, match="lower-case"):
        build_spec(replace(toys.count, name="Count up"), {}, {})
    with pytest.raises(SpecError, match=r"input corpus .* has no content digest"):
        build_spec(toys.count, {}, {"corpus": StageInput(Path("/x"), "")})
