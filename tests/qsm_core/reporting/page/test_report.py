"""The shortest report, of a system that the page does not know: how to write it, what it leaves."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from qsm_core.reporting.page.canvas import WIDTH_IN, new_figure
from qsm_core.reporting.page.drawings import ReportFigure
from qsm_core.reporting.page.exports import ReportTable
from qsm_core.reporting.page.formatting import percent_with_ends
from qsm_core.reporting.page.markdown import text_markdown
from qsm_core.reporting.page.pieces import PAGE, SUMMARY, Pieces, Table, Text, read_pieces
from qsm_core.reporting.page.report import Report, write_report
from qsm_core.reporting.page.run_card import RUN_CARD_SECTIONS, WorkColumn, run_card
from qsm_core.reporting.page.sections import Section
from qsm_core.reporting.page.sounds import sound_of, sound_view
from qsm_core.reporting.page.table_view import TableView
from qsm_core.stage.making import make_output
from qsm_core.store.spec import build_spec
from qsm_core.store.store import Store
from tests.support.toys import Toys

ROOTS = pd.DataFrame({"root": ["oak", "elm"], "share": [0.25, 0.5], "low": [0.2, 0.4]})
ROOTS["high"] = ROOTS["share"] + 0.1
SENTENCES = ["Two trees were measured.", "The elm has <most> roots.", "No third tree was there."]


def tree_report() -> Report:
    """A heading, three sentences, one table, one figure."""
    rows = ROOTS.to_dict("records")
    view = TableView(
        "Depth of the roots in per cent with intervals",
        ("Tree", "Depth"),
        tuple((r["root"], percent_with_ends(r["share"], r["low"], r["high"])) for r in rows),
    )
    summary = Text("What was found", text_markdown("Trees", SENTENCES, [view]))
    return Report(
        title="Trees & roots",
        sections=[
            Section("summary", "Findings", abstract=SENTENCES),
            Section("roots", "Roots", figures=["root_depth"], tables=["depth"]),
        ],
        tables={"depth": ReportTable(ROOTS, view)},
        figures={
            "root_depth": ReportFigure(
                "Depth of roots", "Deeper is better.", "Oak 25 %, elm 50 %.", draw_roots
            )
        },
        pieces=Pieces(
            texts={SUMMARY: summary}, tables={"depth": Table(view.caption, view.records())}
        ),
        results={"deepest": "elm", "unknown": np.float64("nan")},
    )


def draw_roots() -> Figure:
    figure = new_figure(WIDTH_IN, 3.0)
    axes = figure.add_subplot()
    axes.barh(ROOTS["root"], 100 * ROOTS["share"])
    axes.set_xlabel("depth (%)")
    return figure


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trees")
    write_report(out, tree_report())
    return out


def test_files(written: Path) -> None:
    files = {str(path.relative_to(written)) for path in written.rglob("*") if path.is_file()}
    assert files == {
        "results.json",
        *(f"tables/depth.{kind}" for kind in ("csv", "parquet", "tex", "md")),
        *(f"figures/root_depth.{kind}" for kind in ("svg", "png")),
        "pieces/index.json",
        "pieces/texts/summary.md",
        "pieces/tables/depth.json",
        "pieces/pictures/root-depth.md",
        "volatile/report.html",
        "volatile/run_card.json",
    }
    results = json.loads((written / "results.json").read_text())
    assert results == {"deepest": "elm", "unknown": None}
    assert pd.read_csv(written / "tables" / "depth.csv").equals(ROOTS)


def test_page(written: Path) -> None:
    page = (written / PAGE).read_text()
    assert "<h1>Trees &amp; roots</h1>" in page
    assert '<a class="skip" href="#summary">Skip to the findings</a>' in page
    for sentence in SENTENCES:
        assert sentence.replace("<", "&lt;").replace(">", "&gt;") in page
    assert page.count("<table>") == page.count("<figure ") == 1
    assert '25.0 <span class="ends">[20.0, 35.0]</span>' in page
    assert 'aria-label="Oak 25 %, elm 50 %."' in page
    assert "<footer><p>Made by qsm.</p></footer>" in page


def test_the_page_has_no_word_of_a_system(written: Path) -> None:
    page = (written / PAGE).read_text().lower().partition("</style>")[2]
    page = re.sub("<svg.*</svg>", "", page, flags=re.DOTALL)
    words = ("speech", "clip", "prompt", "audio model", "opro", "lora", "khz", "prediction")
    assert [word for word in words if word in page] == []


def test_pieces(written: Path) -> None:
    pieces = read_pieces(written)
    assert pieces.texts[SUMMARY].markdown.startswith("## Trees\n\nTwo trees were measured.\n\n")
    assert pieces.tables["depth"].rows[0] == {"Tree": "oak", "Depth": "25.0 [20.0, 35.0]"}
    assert pieces.pictures["root-depth"].title == "Depth of roots"
    assert "](data:image/png;base64," in pieces.pictures["root-depth"].markdown


def test_equal_reports_give_equal_files(written: Path, tmp_path: Path) -> None:
    write_report(tmp_path, tree_report())
    for path in written.rglob("*"):
        if path.is_file():
            assert (tmp_path / path.relative_to(written)).read_bytes() == path.read_bytes(), path


def test_the_least_report_is_a_title(tmp_path: Path) -> None:
    write_report(tmp_path, Report("Nothing", [Section("empty", "Empty")]))
    page = (tmp_path / PAGE).read_text()
    assert "<h1>Nothing</h1>" in page
    assert "<section" not in page
    assert read_pieces(tmp_path) == Pieces()


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        (Section("a", "A", tables=["dpeth"]), "section a: table 'dpeth' .*, which has: depth"),
        (Section("b", "B", figures=["depth"]), "section b: figure 'depth' .* has: root_depth"),
    ],
)
def test_a_name_that_nothing_has_is_refused(section: Section, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=problem):
        write_report(tmp_path, replace(tree_report(), sections=[section]))


def test_the_run_card_says_what_the_inputs_cost(tmp_path: Path, toys: Toys) -> None:
    store = Store(tmp_path / "store")
    spec = build_spec(toys.count, {"n": 3}, {})
    made = make_output(store, spec, {}, {}, lambda done, total, message: None)
    inputs = {"counted": made.path, "given": tmp_path}
    steps = WorkColumn("steps", "Steps", lambda summary: float(summary["n"]))
    card = run_card(inputs, {"trees": {"kinds": ["oak", "elm"]}}, [steps])
    report = replace(tree_report(), sections=RUN_CARD_SECTIONS, run_card=card)
    write_report(tmp_path / "out", report)
    values = json.loads((tmp_path / "out" / "volatile" / "run_card.json").read_text())
    ((cost,), (stage,)) = values["cost"], values["stages"]
    assert (cost["input"], cost["steps"], cost["gpu_seconds"]) == ("counted", 3.0, 0.0)
    assert stage["key"] == spec.key[:8]
    assert {"name": "trees.kinds", "value": "oak, elm"} in values["run_card"]
    page = (tmp_path / "out" / PAGE).read_text()
    assert page.count(">Steps</th>") == 1
    assert spec.key[:8] in page


def test_a_sound_has_the_axes_of_its_own_sample_rate(tmp_path: Path) -> None:
    call = np.sin(np.arange(6 * 96_000) / 3).astype(np.float32)
    sound = sound_of(call, 96_000)
    assert (sound.seconds, sound.cut) == (5.0, True)
    view = sound_view(sound, title="Oak", text="Wind.", label="Oak in wind", heard="an oak")
    write_report(tmp_path, Report("Sounds", [Section("sounds", "Sounds", sounds=[view])]))
    page = (tmp_path / PAGE).read_text()
    assert "Spectrogram of an oak: 5 s from left to right, 0 to 48 kHz from bottom to top." in page
    assert '<span class="top" aria-hidden="true">48 kHz</span>' in page
    assert 'aria-label="Oak in wind"' in page


def test_a_report_imports_no_system() -> None:
    check = (
        "import sys, qsm_core.reporting.page.report, qsm_core.reporting.page.run_card, "
        "qsm_core.reporting.page.sounds\n"
        "systems = ('audio', 'conditions', 'data', 'evaluation', 'inference', 'models')\n"
        "found = [name for name in systems if f'qsm_core.{name}' in sys.modules]\n"
        "assert found == [], found"
    )
    subprocess.run([sys.executable, "-c", check], check=True, timeout=120)
