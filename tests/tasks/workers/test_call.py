"""What a stage raises on a worker, as it travels back to the flow: through Prefect and Dask."""

from __future__ import annotations

from typing import Any

import pytest
from distributed.core import clean_exception, error_message
from distributed.protocol import deserialize, dumps, loads, serialize
from prefect.states import Failed

from qsm_core.errors import DataError, ModelError, QsmError, StageError, StoreError, TransientError
from qsm_core.store.spec import StageDefinition, build_spec
from tasks.workers.call import StageCall
from tests.support.fresh_process import run_python

RAISED = [
    ("data", DataError, "clip b: is empty", "DataError"),
    ("own", ModelError, "OwnError: number 3", "mischief.OwnError: number 3"),
    ("foreign", StageError, r"ForeignError: gone away \(mischief.py", "mischief.ForeignError"),
    ("refused", ModelError, "the server refuses the key", "mischief.ForeignError: a wrong key"),
    ("quits", StageError, "SystemExit: the library gave up", "SystemExit"),
    ("connection", TransientError, "the other side went away", "ConnectionResetError"),
    ("full", StoreError, "the disk is full: /somewhere", "No space left on device"),
]


@pytest.fixture
def call(toys, tmp_path) -> Any:
    """Return a call of the stage that misbehaves."""

    def make_call(what: str, **runtime: object) -> StageCall:
        spec = build_spec(StageDefinition("mischief", 1, f"{toys.name}.mischief"), {}, {})
        given = {"do": what, **runtime}
        return StageCall("m", spec.to_json(), spec.key, {}, given, str(tmp_path / "store"))

    return make_call


@pytest.mark.parametrize(("what", "kind", "text", "cause"), RAISED)
def test_an_error_survives_its_way_to_the_flow(call, what, kind, text, cause) -> None:
    with pytest.raises(QsmError, match=text) as caught:
        call(what).run()
    header, frames = serialize(Failed(data=caught.value, message="as a task ends"))
    by_prefect = deserialize(header, frames).data
    _, by_dask, _ = clean_exception(**loads(dumps(error_message(caught.value))))
    for arrived in (by_prefect, by_dask):
        assert type(arrived) is kind
        assert str(arrived) == str(caught.value)
        assert arrived.__context__ is None
        assert type(arrived.__cause__).__module__ == "qsm_core.stage.crossing"
        assert cause in str(arrived.__cause__)


def test_the_errors_of_prefect_itself_survive_too() -> None:
    """Its engine may fail around a stage. The order of imports is that of a worker."""
    code = (
        "import distributed, sys\n"
        "import tasks.workers.call\n"
        "import httpx\n"
        "from prefect.exceptions import PrefectHTTPStatusError\n"
        "from prefect.states import Crashed\n"
        "from distributed.protocol import deserialize, serialize\n"
        "request = httpx.Request('GET', 'http://127.0.0.1/')\n"
        "reply = httpx.Response(500, request=request, text='ill')\n"
        "error = PrefectHTTPStatusError('it is ill', request=request, response=reply)\n"
        "print(repr(deserialize(*serialize(Crashed(data=error))).data))\n"
    )
    assert run_python(code) == "PrefectHTTPStatusError('it is ill')\n"
