"""One text for one value; what has none is refused by name."""

from __future__ import annotations

import enum
import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsm_core.errors import SpecError
from qsm_core.store.canonical import canonical_json, digest_json, to_json

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_text_is_sorted_and_dense():
    assert canonical_json({"b": [1, 2.5], "a": None}, "config") == '{"a":null,"b":[1,2.5]}'
    assert digest_json({"a": 1}, "config") == hashlib.sha256(b'{"a":1}').hexdigest()


@given(st.dictionaries(st.text(), JSON_VALUES, max_size=5))
def test_order_of_keys_has_no_part(values):
    turned = dict(reversed(list(values.items())))
    assert canonical_json(values, "x") == canonical_json(turned, "x")


def test_tuples_are_lists_and_enum_members_their_values():
    class Color(enum.StrEnum):
        RED = "red"

    assert to_json({"a": (1, 2), "b": Color.RED}, "config") == {"a": [1, 2], "b": "red"}
    assert canonical_json(np.float64(0.5), "x") == "0.5"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"lr": float("nan")}, r"config\.lr = nan.*finite"),
        ({"lr": float("inf")}, r"config\.lr = inf.*finite"),
        ({"deep": [{"seeds": {1, 2}}]}, r"config\.deep\[0\]\.seeds.*set.*sorted"),
        ({"deep": {3: "x"}}, r"config\.deep has the key 3 \(int\)"),
        ({"where": Path("/data")}, r"config\.where.*path says where, not what"),
        ({"n": np.int64(3)}, r"config\.n.*value\.item\(\)"),
        ({"raw": b"x"}, r"config\.raw.*bytes"),
    ],
)
def test_refused_values_are_named_by_their_place(value, shown):
    with pytest.raises(SpecError, match=shown):
        canonical_json(value, "config")
