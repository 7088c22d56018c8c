"""The stage "report": files, numbers, escaping, determinism, absent inputs, light imports."""

import html
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.evaluation.metrics import compute_metrics
from qsm_core.evaluation.predictions import read_predictions
from qsm_core.reporting.pieces import read_pieces
from qsm_core.store.spec import StageDefinition, StageInput, build_spec
from qsm_core.store.store import Store
from tests.support.predictions import Listener, make_predictions
from tests.support.report_inputs import (
    BASELINE,
    WINNER,
    make_report,
    write_evaluation,
    write_report_inputs,
)

FIGURES = {"overview", "by_duration", "by_snr", "conditions", "search", "training_loss"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_report_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def report(inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    title = "Speech & <b>noise</b>"
    return make_report(tmp_path_factory.mktemp("report"), inputs, title=title)


class _Tags(HTMLParser):
    """Collects tags with their attributes and checks that they close."""

    VOID = frozenset({"meta", "link", "br", "img", "use", "path", "rect", "image"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def _tags(report: Path) -> _Tags:
    parser = _Tags()
    parser.feed((report / "report.html").read_text())
    assert parser.open == []
    return parser


def test_files(report: Path) -> None:
    assert {path.stem for path in (report / "figures").glob("*.svg")} == FIGURES
    assert {path.stem for path in (report / "figures").glob("*.png")} == FIGURES
    tables = {path.stem for path in (report / "tables").glob("*.csv")}
    assert tables == {
        "results",
        "conditions",
        "dimensions",
        "comparisons",
        "candidates_opro_base",
        "candidates_opro_lora",
        "training_log_lora",
    }


def test_numbers_are_those_of_the_predictions(report: Path, inputs: dict[str, Path]) -> None:
    values = json.loads((report / "results.json").read_text())
    table = pd.read_csv(report / "tables" / "results.csv").set_index("system")
    for name in ("base", "lora", "base_opro", "lora_opro"):
        expected = compute_metrics(read_predictions(inputs[f"eval_{name}"] / "predictions.parquet"))
        assert values["systems"][name]["ba_clip"] == pytest.approx(expected.ba_clip)
        assert table.loc[name, "ba_conditions"] == pytest.approx(expected.ba_conditions)
    change = table.loc["lora", "difference"]
    assert change == pytest.approx(table.loc["lora", "ba_clip"] - table.loc["base", "ba_clip"])
    assert pd.isna(table.loc["base", "difference"])
    assert [(c["first"], c["second"]) for c in values["comparisons"]] == [
        ("base", "lora"),
        ("base", "base_opro"),
        ("base", "lora_opro"),
        ("lora", "lora_opro"),
    ]


def test_winning_instruction_with_its_gap(report: Path) -> None:
    values = json.loads((report / "results.json").read_text())
    gap = values["instructions"][0]
    assert gap["instruction"] == WINNER
    assert gap["dev"] == 0.75
    assert gap["test"] == pytest.approx(values["systems"]["base_opro"]["ba_clip"])


def test_page_is_whole_and_links_nowhere(report: Path) -> None:
    text = (report / "report.html").read_text()
    tags = _tags(report)
    links = [a for _, attrs in tags.seen for k, a in attrs.items() if k in {"href", "src"} and a]
    assert all(link.startswith(("#", "data:")) for link in links)
    assert not re.search(r"url\((?!#)", text)
    assert not [tag for tag, _ in tags.seen if tag in {"script", "iframe", "object"}]


def test_page_is_accessible(report: Path) -> None:
    tags = _tags(report)
    names = [tag for tag, _ in tags.seen]
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert names.count(landmark) == 1
    assert names.count("table") == names.count("caption") > 5
    assert ("html", {"lang": "en"}) in tags.seen
    drawings = [attrs for tag, attrs in tags.seen if tag == "svg"]
    assert len(drawings) == len(FIGURES)
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in drawings)
    assert all(attrs.get("scope") in {"col", "row"} for tag, attrs in tags.seen if tag == "th")
    identifiers = [attrs["id"] for _, attrs in tags.seen if "id" in attrs]
    assert len(identifiers) == len(set(identifiers))


def test_references_inside_the_drawings_exist(report: Path) -> None:
    text = (report / "report.html").read_text()
    identifiers = set(re.findall(r'\bid="([^"]+)"', text))
    references = re.findall(r'href="#([^"]+)"', text) + re.findall(r"url\(#([^)]+)\)", text)
    assert references
    assert set(references) <= identifiers


def test_text_is_escaped(report: Path) -> None:
    text = (report / "report.html").read_text()
    assert "<title>Speech &amp; &lt;b&gt;noise&lt;/b&gt;</title>" in text
    assert "Listen for a &lt;voice&gt; &amp; answer" in text
    assert "<voice>" not in text


def test_what_a_reader_has_to_know_is_there(report: Path) -> None:
    text = (report / "report.html").read_text()
    assert "Synthetic speech is easy speech" in text
    assert "no group is in two splits; the audio itself was not compared" in text
    assert "36 speech clips from 12 groups and 36 non-speech clips from 12 groups" in text
    assert "could not be read as a label" in text
    assert "<strong>Search for an instruction (OPRO).</strong>" in text
    assert ">nan<" not in text.lower()


def test_equal_inputs_give_equal_files(
    report: Path, inputs: dict[str, Path], tmp_path: Path
) -> None:
    again = make_report(tmp_path, inputs, title="Speech & <b>noise</b>")
    files = sorted(path.relative_to(report) for path in report.rglob("*") if path.is_file())
    for name in files:
        assert (again / name).read_bytes() == (report / name).read_bytes(), name


def test_pieces_for_prefect(report: Path) -> None:
    pieces = read_pieces(report)
    assert pieces.summary.startswith("## Summary\n")
    assert pieces.instructions.startswith("## Winning instructions\n")
    assert f"> {html.escape(WINNER)}\n" in pieces.instructions
    assert BASELINE in pieces.instructions
    assert [row["System"] for row in pieces.results] == [
        "Base",
        "LoRA",
        "Base + OPRO",
        "LoRA + OPRO",
    ]
    assert len({tuple(row) for row in pieces.results + pieces.conditions}) == 2
    assert set(pieces.pictures) == FIGURES
    for markdown in pieces.pictures.values():
        assert "](data:image/png;base64," in markdown
        assert len(markdown) < 100_000


def test_one_evaluation_without_scores(tmp_path: Path) -> None:
    grid = (("clean", None, None),)
    table = make_predictions(Listener("x", has_scores=False), groups_per_class=1, grid=grid)
    folder = write_evaluation(tmp_path / "eval_x", table, BASELINE)
    report = make_report(tmp_path, {"eval_silero_vad": folder})
    text = (report / "report.html").read_text()
    assert "silero vad" in text
    assert "auroc: the system gives no score" in text
    assert "comes from 1 group; an interval needs at least 2 groups" in text
    assert "LoRA training" not in text
    assert {path.stem for path in (report / "figures").glob("*.svg")} == {"overview"}


def test_seeds_of_a_training(tmp_path: Path) -> None:
    inputs = {}
    for name in ("base", "lora", "lora_seed43", "lora_opro_seed43"):
        table = make_predictions(Listener(name, skill=len(name) / 8), groups_per_class=4)
        inputs[f"eval_{name}"] = write_evaluation(tmp_path / name, table, BASELINE)
    report = make_report(tmp_path, inputs)
    table = pd.read_csv(report / "tables" / "comparisons.csv")
    assert list(table["title"]) == [
        "LoRA against Base",
        "LoRA + OPRO, seed 43 against Base",
        "LoRA, seed 43 against Base",
        "LoRA + OPRO, seed 43 against LoRA, seed 43",
    ]


def test_no_evaluation(inputs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="give one evaluation at least"):
        make_report(tmp_path, {"corpus": inputs["corpus"]})


def test_evaluations_of_different_clips(inputs: dict[str, Path], tmp_path: Path) -> None:
    table = make_predictions(Listener("lora"), groups_per_class=2)
    other = write_evaluation(tmp_path / "eval_lora", table, BASELINE)
    with pytest.raises(DataError, match="evaluate both on the same corpus"):
        make_report(tmp_path, {"eval_base": inputs["eval_base"], "eval_lora": other})


def test_missing_file(inputs: dict[str, Path], tmp_path: Path) -> None:
    empty = tmp_path / "opro_base"
    empty.mkdir()
    with pytest.raises(DataError, match=r"best_prompt\.txt: the file is missing"):
        make_report(tmp_path, {"eval_base": inputs["eval_base"], "opro_base": empty})


def test_unknown_setting(inputs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="heading"):
        make_report(tmp_path, inputs, heading="x")


def test_leak_is_told(inputs: dict[str, Path], tmp_path: Path) -> None:
    clips = pd.read_parquet(inputs["corpus"] / "manifest.parquet")
    clips.loc[0, "group_id"] = "speech_000"
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    clips.to_parquet(corpus / "manifest.parquet")
    report = make_report(tmp_path, {"eval_base": inputs["eval_base"], "corpus": corpus})
    text = (report / "report.html").read_text()
    assert "The leakage audit found that the test is not independent" in text
    assert "group speech_000 is in more than one split: 1 clips in train, 3 clips in test" in text


def test_provenance_from_manifests(inputs: dict[str, Path], tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    definition = StageDefinition(
        name="report", schema=1, entry="qsm_core.reporting.report", libraries=()
    )
    evaluation = {"eval_base": StageInput(inputs["eval_base"], "0" * 64)}
    spec = build_spec(definition, {"num_resamples": 100}, evaluation)
    output = store.make(spec, evaluation, {}, lambda done, total, message: None)
    # A report stands here for any output that the store made and another report reads.
    report = make_report(
        tmp_path,
        {"eval_base": inputs["eval_base"], "made_by_store": output.path},
    )
    values = json.loads((report / "results.json").read_text())
    (record,) = values["provenance"]["stages"]
    assert (record["input"], record["stage"]) == ("made_by_store", "report")
    assert record["key"] == spec.key[:12]
    assert record["seconds"] >= 0
    assert values["provenance"]["numpy"]
    assert spec.key[:12] in (report / "report.html").read_text()


def test_imports_neither_torch_nor_prefect() -> None:
    check = (
        "import sys, qsm_core.reporting.report, qsm_core.evaluation.comparison, "
        "qsm_core.reporting.markdown\n"
        "heavy = {'torch', 'transformers', 'peft', 'prefect', 'librosa', 'sklearn', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True, timeout=120)


def test_pieces_import_next_to_nothing() -> None:
    check = (
        "import sys, qsm_core.reporting.pieces\n"
        "assert not {'pandas', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True, timeout=120)
