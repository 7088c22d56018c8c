from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.terminal.permissions import restrict_new_files
from qsm_core.errors import ConfigurationError


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize(
    ("environment", "mode"),
    [({}, 0o640), ({"QSM_UMASK": "077"}, 0o600), ({"QSM_UMASK": "022"}, 0o644)],
)
def test_new_files(
    tmp_path: Path, usual_umask: None, environment: dict[str, str], mode: int
) -> None:
    restrict_new_files(environment)
    made = tmp_path / "made"
    made.write_text("x")
    assert made.stat().st_mode & 0o777 == mode


def test_a_stricter_umask_stays(tmp_path: Path, usual_umask: None) -> None:
    os.umask(0o077)
    restrict_new_files({"QSM_UMASK": "022"})
    (tmp_path / "made").write_text("x")
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o600


def test_a_value_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"QSM_UMASK = rwx: three octal digits"):
        restrict_new_files({"QSM_UMASK": "rwx"})
