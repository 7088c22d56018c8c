"""The notebooks of the platforms: from one template, and run from first cell to last."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from qsm_core.acceptance.results.result_files import latest_results
from recipes.acceptance_notebooks.notebook import notebook_name, notebook_text
from recipes.acceptance_notebooks.platforms import PLATFORMS
from tests.support.notebooks import NOTEBOOKS, run_notebook
from tests.support.pipeline import ROOT, PrefectService

KEPT = (
    NOTEBOOKS / "acceptance_colab.ipynb",
    NOTEBOOKS / "acceptance_kaggle.ipynb",
    NOTEBOOKS / "acceptance_lightning.ipynb",
)
ORDER = {
    "text": "This is Ada. Two mugs on 2026-01-02, please; 20 EUR.",
    "expected": {"customer": "Ada", "date": "2026-01-02", "items": ["mugs"], "total": 20},
}


def _code(path: Path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return [cell["source"] for cell in cells if cell["cell_type"] == "code"]


def test_the_notebooks_are_those_of_the_template() -> None:
    assert [path.name for path in KEPT] == [notebook_name(one) for one in PLATFORMS]
    for path, platform in zip(KEPT, PLATFORMS, strict=True):
        again = "run: python -m recipes.acceptance_notebooks"
        assert path.read_text(encoding="utf-8") == notebook_text(platform), again


def test_one_that_runs_stands_for_all() -> None:
    """They differ in the folders and words of the first cell, and in no other."""
    first, *others = (_code(path) for path in KEPT)
    for other in others:
        assert other[1:] == first[1:]
        lines = zip(first[0].splitlines(), other[0].splitlines(), strict=True)
        differ = {one.partition(" ")[0] for one, another in lines if one != another}
        assert differ <= {"WORK", "KEEP", "DRIVE", "GPU"}


def test_no_shell_reads_the_versions_of_packages() -> None:
    """`pip install -q transformers>=4.36` in a shell installs any version, into a file `=4.36`."""
    for path in KEPT:
        for line in "\n".join(_code(path)).splitlines():
            assert not line.lstrip().startswith(("!", "%"))
            assert "shell=" not in line


@pytest.mark.parametrize(
    "path",
    [
        path
        for pattern in ("*.md", "docs/**/*.md", ".github/workflows/*.yml", "Makefile")
        for path in sorted(ROOT.glob(pattern))
    ],
    ids=lambda path: path.name,
)
def test_commands_in_docs_quote_what_a_shell_would_take(path: Path) -> None:
    for command in re.findall(r"pip install[^`\n]*", path.read_text(encoding="utf-8")):
        try:
            words = list(shlex.shlex(command, posix=True, punctuation_chars="<>"))
        except ValueError:  # a quotation mark of the sentence
            words = command.split()
        assert not {"<", ">", "=>", "<<", ">>"} & set(words), command


@pytest.mark.server
@pytest.mark.slow
def test_a_notebook_from_its_first_cell_to_its_last(
    prefect_service: PrefectService, tiny_llama: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "student").symlink_to(tiny_adapter)
    cases = [json.dumps({"id": f"c{n}", "tier": "ab"[n % 2], **ORDER}) for n in range(4)]
    (project / "cases.jsonl").write_text("\n".join(cases))
    git = ("git", "-C", project, "-c", "user.name=a", "-c", "user.email=a@b.invalid")
    for command in (("init", "-q", "-b", "work"), ("add", "."), ("commit", "-q", "-m", "cases")):
        subprocess.run([*git, *command], check=True)
    parameters = {
        "work": str(tmp_path / "work"),
        "keep": str(tmp_path / "keep"),
        "project": str(project),
        "branch": "work",
        "baseline": str(tiny_llama),
        "adapter": "project/student",
        "cases": "project/cases.jsonl",
        "max_samples": 3,
        "flags": ["--task=field-extraction", "--max-new-tokens=8", "--retries=0", "--workers=1"],
        "name": "free-gpu",
    }
    ran = run_notebook(
        NOTEBOOKS / "acceptance_lightning.ipynb",
        timeout_s=300,
        **{**prefect_service.environment, "PYTHONPATH": ROOT},
        QSM_NOTEBOOK=json.dumps(parameters),
        QSM_SKIP_INSTALL=1,
    )
    printed = [
        "".join(one.get("text", "") for one in cell["outputs"])
        for cell in ran.cells
        if cell["cell_type"] == "code"
    ]
    assert "nothing is installed" in printed[3]
    assert "Verdict: FAIL" in printed[7]  # random weights know no orders
    keep = tmp_path / "keep"
    for arm in ("baseline", "student"):
        assert json.loads(latest_results(keep, arm).read_text())["total_samples"] == 3
    with zipfile.ZipFile(keep / "free-gpu.zip") as archive:
        names = set(archive.namelist())
        cost = json.loads(archive.read("cost.json"))
    assert {"report.html", "verdict/verdict.json", "student/attempts.parquet"} <= names
    # The comparison has found the answers of the cells before it.
    assert {one["stage"]: one["made"] for one in cost["stages"]} == {
        "baseline": False,
        "student": False,
        "verdict": True,
        "report": True,
    }


def test_a_parameter_that_is_none_is_refused(tmp_path: Path) -> None:
    given = json.dumps({"adaptor": "student", "work": str(tmp_path)})
    with pytest.raises(CellExecutionError, match=r"\['adaptor'\] are no parameters"):
        run_notebook(NOTEBOOKS / "acceptance_colab.ipynb", QSM_NOTEBOOK=given)
