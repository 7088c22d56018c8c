"""Errors of every library that a stage may use, and of classes made up, on their way out of it."""

from __future__ import annotations

import importlib
import pickle
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pyarrow as pa
import pydantic
import pytest
import requests
import torch
from huggingface_hub.errors import HfHubHTTPError
from hypothesis import given
from hypothesis import strategies as st
from openai._base_client import httpx2
from prefect.exceptions import PrefectHTTPStatusError
from safetensors.torch import load

from qsm_core.errors import (
    ConfigurationError,
    DataError,
    InterruptedStageError,
    ModelError,
    QsmError,
    StageError,
    StoreError,
    TransientError,
    is_failure,
    is_transient,
)
from qsm_core.stage.crossing import detached_error
from tests.support.fresh_process import run_python

LIBRARIES = (
    "openai",
    "httpx",
    "httpx2",
    "requests",
    "urllib3.exceptions",
    "huggingface_hub.errors",
    "safetensors",
    "pyarrow",
    "torch",
    "transformers",
    "pydantic_core",
    "prefect.exceptions",
    "distributed",
    "numpy",
    "pandas.errors",
    "soundfile",
    "jinja2",
    "yaml",
    "json",
)


def raised(error: BaseException) -> BaseException:
    """Return an error as a library leaves it: with a cause, raised while another was handled."""
    try:
        try:
            {}["the last one handled"]
        except KeyError:
            try:
                int("the first cause")
            except ValueError as first:
                raise error from first
    except BaseException as last:  # noqa: BLE001 - any
        return last


def classes_of(library: str) -> Iterator[type[BaseException]]:
    """Yield every class of errors of a library."""
    importlib.import_module(library)
    root = library.partition(".")[0]
    found, todo = set[type[BaseException]](), [BaseException]
    while todo:
        fresh = set(todo.pop().__subclasses__()) - found
        found |= fresh
        todo += fresh
    yield from (one for one in found if one.__module__.partition(".")[0] == root)


def made(kind: type[BaseException]) -> BaseException | None:
    """Return an error without calling its `__init__`, None where that cannot be done."""
    try:
        error = kind.__new__(kind, "words")
        error.args = ("words",)
    except Exception:  # noqa: BLE001 - such as those of Rust
        return None
    return error


def test_errors_of_every_library_reach_a_process_that_has_only_qsm(tmp_path: Path) -> None:
    passed = []
    for library in LIBRARIES:
        errors = [one for kind in classes_of(library) if (one := made(kind)) is not None]
        assert errors, library
        for error in errors:
            detached = detached_error(raised(error))
            assert type(detached) in (StageError, TransientError), error
            passed.append((type(error).__name__, pickle.dumps(detached)))
    assert len(passed) > 200
    (tmp_path / "errors").write_bytes(pickle.dumps(passed))
    code = (
        "import pickle, sys\n"
        "for name, data in pickle.load(open(sys.argv[1], 'rb')):\n"
        "    error = pickle.loads(data)\n"
        "    assert str(error).startswith(name), (name, error)\n"
        "print({'openai', 'httpx', 'torch', 'pyarrow', 'prefect'} & set(sys.modules))"
    )
    assert run_python(code, str(tmp_path / "errors")) == "set()\n"


class Model(pydantic.BaseModel):
    number: int


def from_call(call: Callable[[], object]) -> BaseException:
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


def real_errors() -> dict[str, BaseException]:
    """Return errors as they occur, each under a piece of its text."""
    old, new = httpx.Request("GET", "http://x/"), httpx2.Request("GET", "http://x/")
    refused = httpx.Response(500, request=old, text="boom")
    reply = httpx2.Response(401, request=new, headers={"Authorization": "Bearer sk-marker"})
    return {
        "a wrong key": openai.AuthenticationError("a wrong key", response=reply, body={"a": "b"}),
        "Request timed out": openai.APITimeoutError(request=new),
        "5 tokens too many": httpx.HTTPStatusError(
            "5 tokens too many", request=old, response=refused
        ),
        "the server is ill": PrefectHTTPStatusError(
            "the server is ill", request=old, response=refused
        ),
        "no such model": HfHubHTTPError("no such model", response=refused),
        "nobody there": requests.ConnectionError("nobody there", request=requests.Request()),
        "CUDA out of memory": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        "unable to parse string": from_call(lambda: Model(number="x")),  # type: ignore[arg-type]
        "Failed to parse string": from_call(lambda: pa.array(["a"]).cast("int64")),
        "SafetensorError": from_call(lambda: load(b"no tensors")),
        "returned non-zero exit status 3": subprocess.CalledProcessError(3, ["a", "b"], "out"),
        "'utf-8' codec can't decode": from_call(lambda: b"\xff".decode()),
        "two at once (2 sub-exceptions)": ExceptionGroup("two at once", [OSError(), KeyError()]),
        "SystemExit: 3": SystemExit(3),
    }


@pytest.mark.parametrize("words", real_errors())
def test_what_an_error_and_its_causes_said_is_kept(words: str) -> None:
    detached = pickle.loads(pickle.dumps(detached_error(raised(real_errors()[words]))))
    assert words in str(detached)
    assert re.search(r"\(\S+, line \d+, in ", str(detached))
    told = str(detached_error(raised(real_errors()[words])).__cause__)
    assert "ValueError: invalid literal for int() with base 10: 'the first cause'" in told
    assert 'int("the first cause")' in told
    assert words in told
    assert "sk-marker" not in told


def test_nothing_of_another_library_hangs_on_it() -> None:
    detached = detached_error(raised(real_errors()["a wrong key"]))
    assert detached.__context__ is None
    assert type(detached.__cause__).__module__ == "qsm_core.stage.crossing"


class _OwnError(TransientError):
    """One that no other process can make, and that needs what pickle does not give it."""

    def __init__(self, *, number: int) -> None:
        super().__init__(f"number {number}")


class _OwnDataError(DataError):
    """One of another module."""


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ModelError("damaged"), ModelError, "damaged"),
        (ModelError(Path("model"), 3), ModelError, "ModelError: (PosixPath('model'), 3)"),
        (TransientError(Path("place")), TransientError, "place"),
        (InterruptedStageError("stop; kept"), InterruptedStageError, "stop; kept"),
        (_OwnError(number=3), TransientError, "_OwnError: number 3"),
        (StoreError("clip \udcff"), StoreError, r"clip \udcff"),
        (StoreError(), StoreError, ""),
    ],
)
def test_an_error_of_qsm_stays_what_it_is(error: QsmError, kind: type, text: str) -> None:
    detached = detached_error(raised(error))
    assert type(detached) is kind
    assert str(detached) == text
    assert is_transient(detached) == is_transient(error)


@pytest.mark.parametrize("kind", [ConfigurationError, DataError, _OwnDataError])
def test_the_problems_of_a_check_stay_apart(kind: Any) -> None:
    detached = detached_error(raised(kind("the title", ["one", "two"])))
    assert isinstance(detached, ConfigurationError | DataError)
    assert detached.problems == ("one", "two")
    assert type(detached) is (DataError if kind is _OwnDataError else kind)


def test_long_errors_are_shortened_and_say_so() -> None:
    """Dask replaces the arguments of an error of more than 10,000 characters by its beginning."""
    many = detached_error(raised(DataError("the title", [f"clip {n}: empty" for n in range(9000)])))
    assert isinstance(many, DataError)
    assert many.problems[0] == "clip 0: empty"
    assert many.problems[-1].startswith(f"... and {9000 - len(many.problems) + 1} more; all of it")
    assert len(str(many)) < 10_000
    one = detached_error(raised(ModelError("x" * 50_000)))
    assert type(one) is ModelError
    assert "(50000 characters" in str(one)
    assert len(str(one)) < 10_000
    assert len(str(one.__cause__)) < 25_000


def test_what_stops_the_work_from_outside_is_no_failure() -> None:
    panic = type("PanicException", (BaseException,), {})("index out of bounds")
    assert is_failure(panic)
    assert str(detached_error(panic)) == "PanicException: index out of bounds"
    assert not is_failure(KeyboardInterrupt())
    assert not is_failure(GeneratorExit())


def _fails(*_: object) -> Any:
    raise RuntimeError("not even this")


def _needs_keywords(self: BaseException, *, response: object, body: object) -> None:
    BaseException.__init__(self, "made of keywords")
    self.response, self.body = response, body  # type: ignore[attr-defined]


FLAWS: dict[str, dict[str, Any]] = {
    "keywords": {"__init__": _needs_keywords},
    "no text": {"__str__": _fails},
    "no text at all": {"__str__": _fails, "__repr__": _fails},
    "text of another kind": {"__str__": lambda _: 3},
    "no pickling": {"__reduce__": _fails, "__reduce_ex__": _fails},
    "no arguments": {"__reduce__": lambda _: "a name"},
    "attributes": {"lock": threading.Lock()},
    "slots": {"__slots__": ("response",)},
}
BASES = (Exception, OSError, ValueError, RuntimeError, KeyError, UnicodeError, SystemExit)


@given(
    base=st.sampled_from((*BASES, ModelError, TransientError, StageError)),
    flaws=st.sets(st.sampled_from(sorted(FLAWS))),
    text=st.text(),
    in_circle=st.booleans(),
    note=st.text(),
)
def test_any_class_of_errors_crosses(
    base: type[BaseException], flaws: set[str], text: str, *, in_circle: bool, note: str
) -> None:
    kind = type("MadeUpError", (base,), {k: v for one in flaws for k, v in FLAWS[one].items()})
    error = kind(response=threading.Lock(), body=None) if "keywords" in flaws else kind(text)
    error.add_note(note)
    caught = raised(error)
    if in_circle:
        caught.__cause__ = ValueError("in a circle")
        caught.__cause__.__cause__ = caught
    detached = detached_error(caught)
    again = pickle.loads(pickle.dumps(detached))
    assert type(again) is type(detached)
    assert issubclass(kind, type(again)) or type(again) is StageError
    assert str(again) == str(detached)
    assert "MadeUpError" in str(again)
    str(again).encode()
    assert "MadeUpError" in str(detached.__cause__)
