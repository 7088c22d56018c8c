"""Copies of the toy core that a test may edit, and processes that use them."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from qsm_core.store.spec import StageDefinition

REPOSITORY = Path(__file__).parents[2]
_SOURCE = Path(__file__).parent / "toycore"
_numbers = itertools.count()


@dataclass(frozen=True)
class Toys:
    """A toy core of our own, importable under a name of its own.

    Args:
        folder: The package.
        parent: What has to be on the path.
    """

    folder: Path
    parent: Path

    @property
    def name(self) -> str:
        """Name of the package."""
        return self.folder.name

    @property
    def count(self) -> StageDefinition:
        """The stage that counts."""
        return StageDefinition("count", 1, f"{self.name}.count", ("numpy",))

    @property
    def total(self) -> StageDefinition:
        """The stage that adds up."""
        return StageDefinition("total", 1, f"{self.name}.total")

    def edit(self, module: str, old: str, new: str) -> None:
        """Replace a piece of a module's source."""
        path = self.folder / f"{module}.py"
        text = path.read_text()
        if old not in text:
            raise ValueError(f"{module} has no {old!r}")
        self.write({path: text.replace(old, new)})

    def write(self, sources: Mapping[Path, str]) -> None:
        """Write modules, and forget what was compiled of them.

        Python takes compiled code for that of a file with the same size that was written in the
        same second.
        """
        for path, text in sources.items():
            path.write_text(text)
        shutil.rmtree(self.folder / "__pycache__", ignore_errors=True)

    def start(self, code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Run Python code in a process of its own that can import the toys."""
        path = os.pathsep.join([str(self.parent), str(REPOSITORY)])
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env={**os.environ, "PYTHONPATH": path, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str, *arguments: str, **environment: str) -> str:
        """Run Python code in a process of its own and return what it printed."""
        process = self.start(code, *arguments, **environment)
        out, err = process.communicate(timeout=120)
        if process.returncode:
            raise RuntimeError(f"exit {process.returncode}\n{out}\n{err}")
        return out


def copy_toys(parent: Path) -> Toys:
    """Copy the toy core to `parent` under a name that no other copy has."""
    name = f"toycore{os.getpid()}x{next(_numbers)}"
    folder = parent / name
    shutil.copytree(_SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in folder.glob("*.py"):
        path.write_text(path.read_text().replace("toycore", name))
    return Toys(folder, parent)


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toys:
    """A toy core on the path of this process and of those that it starts."""
    made = copy_toys(tmp_path / "toys")
    monkeypatch.syspath_prepend(str(made.parent))
    return made


# Makes one `count` in a store. Arguments: store, package, config, runtime.
MAKE_COUNT = """
import json, sys
from pathlib import Path
from qsm_core.stage.making import make_output
from qsm_core.store.spec import StageDefinition, build_spec
from qsm_core.store.store import Store
store, package, config, runtime = sys.argv[1:]
definition = StageDefinition("count", 1, package + ".count", ("numpy",))
spec = build_spec(definition, json.loads(config), {})
output = make_output(Store(Path(store)), spec, {}, json.loads(runtime))
print(json.dumps({"key": spec.key, "path": str(output.path), **output.summary}))
"""


def count_arguments(store: Path, toys: Toys, config: object, runtime: object) -> list[str]:
    """Return the arguments of MAKE_COUNT."""
    return [str(store), toys.name, json.dumps(config), json.dumps(runtime)]
