"""The stage "report": files, numbers, escaping, determinism, absent inputs, light imports."""

import base64
import html
import io
import json
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from qsm_core.data.corpus import CorpusClip, write_corpus
from qsm_core.data.schema import ClipRow
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.evaluation.analysis.metrics import compute_metrics
from qsm_core.evaluation.analysis.tables import write_analysis
from qsm_core.evaluation.predictions.table import read_predictions
from qsm_core.labels import Label
from qsm_core.reporting.page.pieces import read_pieces
from qsm_core.stage.making import make_output
from qsm_core.store.spec import StageDefinition, StageInput, build_spec
from qsm_core.store.store import Store
from tests.support.analyses import SMALL, make_analysis
from tests.support.predictions import Listener, make_predictions
from tests.support.report_inputs import (
    BASELINE,
    WINNER,
    make_report,
    write_evaluation,
    write_report_inputs,
    write_small_analysis,
)

FIGURES = {
    "overview",
    "differences",
    "thresholds",
    "reliability",
    "by_duration",
    "by_snr",
    "conditions",
    "confusion",
    "search",
    "training_loss",
}
PAGE = "volatile/report.html"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_report_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An analysis of one system in three conditions: for what does not depend on the figures."""
    folder = tmp_path_factory.mktemp("quick")
    write_analysis(folder, make_analysis(1, SMALL))
    return folder


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
    parser.feed((report / PAGE).read_text())
    assert parser.open == []
    return parser


def test_files(report: Path) -> None:
    assert {path.stem for path in (report / "figures").glob("*.svg")} == FIGURES
    assert {path.stem for path in (report / "figures").glob("*.png")} == FIGURES
    tables = {path.stem for path in (report / "tables").glob("*.csv")}
    assert {"results", "comparisons", "thresholds", "conditions", "confusion", "clips"} <= tables
    assert {"candidates_opro_base", "training_log_train_lora", "clips_by_split"} <= tables
    assert {"controls_opro_base", "search_gains", "prompt_transfer"} <= tables
    for name in tables:
        numbers = pd.read_csv(report / "tables" / f"{name}.csv")
        kept = pd.read_parquet(report / "tables" / f"{name}.parquet")
        assert list(kept.columns) == list(numbers.columns)
        assert len(kept) == len(numbers) > 0
    shown = {path.stem for path in (report / "tables").glob("*.tex")}
    assert shown == {path.stem for path in (report / "tables").glob("*.md")}
    assert {"results", "comparisons", "thresholds", "conditions"} <= shown <= tables


def test_numbers_are_those_of_the_predictions(report: Path, inputs: dict[str, Path]) -> None:
    values = json.loads((report / "results.json").read_text())
    table = pd.read_csv(report / "tables" / "results.csv").set_index("system")
    shown = {row["system"]: row for row in values["results"]}
    for name in ("base", "lora", "base_opro", "lora_opro"):
        expected = compute_metrics(read_predictions(inputs[f"eval_{name}"] / "predictions.parquet"))
        assert shown[name]["ba_clip"] == pytest.approx(expected.ba_clip)
        assert table.loc[name, "ba_conditions"] == pytest.approx(expected.ba_conditions)
    change = table.loc["lora", "difference"]
    assert change == pytest.approx(table.loc["lora", "ba_clip"] - table.loc["base", "ba_clip"])
    assert pd.isna(table.loc["base", "difference"])
    pairs = [(row["first"], row["second"]) for row in values["comparisons"]]
    assert {("base", "lora"), ("lora", "lora_opro"), ("base", "base@dev")} <= set(pairs)
    assert values["instructions"]["base_opro"] == WINNER


def test_abstract_has_five_sentences_with_intervals(report: Path) -> None:
    values = json.loads((report / "results.json").read_text())
    (abstract,) = values["abstract"]
    assert len(abstract) == 5
    first = next(row for row in values["results"] if row["system"] == "base")
    assert abstract[0].startswith("4 systems (1 of them once more with a threshold")
    assert "72 test clips from 24 groups" in abstract[0]
    best = max(values["results"], key=lambda row: row["ba_clip"])
    assert f"{100 * best['ba_clip']:.1f} [{100 * best['ba_clip_low']:.1f}, " in (abstract[1])
    assert first["title"] in abstract[2]
    page = (report / PAGE).read_text()
    assert f'<p class="abstract">{html.escape(" ".join(abstract), quote=False)}' in (
        page.replace("&#39;", "'").replace("&#34;", '"')
    )


def test_page_is_whole_and_links_nowhere(report: Path) -> None:
    text = (report / PAGE).read_text()
    tags = _tags(report)
    links = [a for _, attrs in tags.seen for k, a in attrs.items() if k in {"href", "src"} and a]
    assert {link for link in links if not link.startswith(("#", "data:"))} == {"methods.md"}
    assert not re.search(r"url\((?!#)", text)
    assert not [tag for tag, _ in tags.seen if tag in {"script", "iframe", "object"}]


def test_page_is_accessible(report: Path) -> None:
    tags = _tags(report)
    names = [tag for tag, _ in tags.seen]
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert names.count(landmark) == 1
    assert names.count("table") == names.count("caption") > 9
    assert ("html", {"lang": "en"}) in tags.seen
    drawings = [attrs for tag, attrs in tags.seen if tag == "svg"]
    assert len(drawings) == len(FIGURES)
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in drawings)
    assert all(attrs.get("scope") in {"col", "row"} for tag, attrs in tags.seen if tag == "th")
    identifiers = [attrs["id"] for _, attrs in tags.seen if "id" in attrs]
    assert len(identifiers) == len(set(identifiers))


def test_references_inside_the_drawings_exist(report: Path) -> None:
    text = (report / PAGE).read_text()
    identifiers = set(re.findall(r'\bid="([^"]+)"', text))
    references = re.findall(r'href="#([^"]+)"', text) + re.findall(r"url\(#([^)]+)\)", text)
    assert references
    assert set(references) <= identifiers


def test_text_is_escaped(report: Path) -> None:
    text = (report / PAGE).read_text()
    assert "<title>Speech &amp; &lt;b&gt;noise&lt;/b&gt;</title>" in text
    assert "Listen for a &lt;voice&gt; &amp; answer" in text
    assert "<voice>" not in text


def test_caveats_for_the_reader_are_there(report: Path) -> None:
    text = (report / PAGE).read_text()
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
    assert len(files) > 40
    for name in files:
        assert (again / name).read_bytes() == (report / name).read_bytes(), name


def test_pieces(report: Path) -> None:
    pieces = read_pieces(report)
    assert list(pieces.texts) == ["summary", "instructions"]
    assert list(pieces.tables) == ["results", "results-by-condition"]
    summary, instructions = (text.markdown for text in pieces.texts.values())
    assert summary.startswith("## Summary\n")
    assert instructions.startswith("## Winning instructions\n")
    assert f"> {html.escape(WINNER)}\n" in instructions
    assert BASELINE in instructions
    for text in (summary, instructions, (report / PAGE).read_text()):
        assert "LoRA model: the instruction that OPRO found has a balanced accuracy" in text
    assert len(pieces.sentences["gains"]) == 2
    systems = [row["System"] for row in pieces.tables["results"].rows]
    assert systems == ["Base", "LoRA", "Base + OPRO", "LoRA + OPRO", "Base, dev threshold"]
    assert set(pieces.pictures) == {name.replace("_", "-") for name in FIGURES}
    for picture in pieces.pictures.values():
        assert "](data:image/png;base64," in picture.markdown
        assert len(picture.markdown) < 100_000


def test_results_on_a_terminal_are_short_and_without_calibrated_systems(report: Path) -> None:
    rows = read_pieces(report).terminal_tables["results"].rows
    assert [row["System"] for row in rows] == ["Base", "LoRA", "Base + OPRO", "LoRA + OPRO"]
    assert list(rows[0]) == ["System", "Clips", "Conditions", "AUROC", "Clips, difference"]
    assert re.fullmatch(r"0\.\d{3}", rows[0]["AUROC"])


def test_one_evaluation_without_scores(tmp_path: Path) -> None:
    grid = (("clean", None, None),)
    table = make_predictions(Listener("x", has_scores=False), groups_per_class=1, grid=grid)
    inputs = {"eval_silero": write_evaluation(tmp_path / "eval_x", table, BASELINE)}
    inputs["analysis"] = write_small_analysis(tmp_path / "analysis", inputs)
    report = make_report(tmp_path, inputs)
    text = (report / PAGE).read_text()
    assert "Silero VAD" in text
    assert "gives no score with its answers" in text
    assert "There is no second system" in text
    assert "Search for an instruction" not in text
    assert "The audio of the clips is not at hand" in text
    assert {path.stem for path in (report / "figures").glob("*.svg")} == {"overview"}


def test_hardest_clips_can_be_heard(quick: Path, tmp_path: Path) -> None:
    clips = pd.read_parquet(quick / "clips.parquet").head(3)
    corpus = _corpus_of(clips, tmp_path / "corpus")
    heard = ["dur_20ms", "dur_40ms"]  # the third clip is hardest in a condition without audio
    report = make_report(tmp_path, {"analysis": quick, "corpus": corpus}, conditions=heard)
    sounds = [attrs for tag, attrs in _tags(report).seen if tag == "audio"]
    assert clips["worst_condition"].to_list() == [*heard, "dur_60ms"]
    assert len(sounds) == len(heard)
    flac = base64.b64decode(sounds[0]["src"].removeprefix("data:audio/flac;base64,"))
    wave, rate = soundfile.read(io.BytesIO(flac))
    assert rate == 16_000
    assert len(wave) == 2 * rate  # the container that the systems heard
    pictures = [attrs for tag, attrs in _tags(report).seen if tag == "img"]
    assert all(str(one["alt"]).startswith("Spectrogram of ") for one in pictures)


def _corpus_of(clips: pd.DataFrame, folder: Path) -> Path:
    """Write a corpus that holds these test clips, each a tone."""
    tone = 0.5 * np.sin(np.arange(16_000) / 5).astype(np.float32)
    write_corpus(
        folder,
        [
            CorpusClip(
                ClipRow(
                    clip_id=row["clip_id"],
                    group_id=row["group_id"],
                    path=f"{row['clip_id']}.wav",
                    label=Label(row["label"]),
                    split="test",
                    source="tones",
                ),
                tone,
            )
            for row in clips.to_dict("records")
        ],
    )
    return folder


def test_no_analysis(inputs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        make_report(tmp_path, {"corpus": inputs["corpus"]}, searches=["base"], trainings=["lora"])
    assert caught.value.problems == (
        "input opro_base: is missing",
        "input train_lora: is missing",
        "input analysis: is missing; make it with evaluation.analysis.analyze",
    )


def test_missing_file(inputs: dict[str, Path], tmp_path: Path) -> None:
    empty = tmp_path / "opro_base"
    empty.mkdir()
    with pytest.raises(DataError, match=r"best_prompt\.txt: the file is missing"):
        make_report(tmp_path, {"analysis": inputs["analysis"], "opro_base": empty})


def test_unknown_setting(inputs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="heading"):
        make_report(tmp_path, inputs, heading="x")


def test_leak_is_reported(inputs: dict[str, Path], quick: Path, tmp_path: Path) -> None:
    clips = pd.read_parquet(inputs["corpus"] / "manifest.parquet")
    clips.loc[0, "group_id"] = "speech_000"
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    clips.to_parquet(corpus / "manifest.parquet")
    report = make_report(tmp_path, {"analysis": quick, "corpus": corpus})
    text = (report / PAGE).read_text()
    assert "The leakage audit found that the test is not independent" in text
    assert "group speech_000 is in more than one split: 1 clips in train, 3 clips in test" in text


def test_cost_and_run_card_from_manifests(quick: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    definition = StageDefinition(
        name="report", schema=1, entry="qsm_core.reporting.speech.report", libraries=()
    )
    given = {"analysis": StageInput(quick, "0" * 64)}
    spec = build_spec(definition, {"title": "first"}, given)
    output = make_output(store, spec, given, {}, lambda done, total, message: None)
    # A report stands here for any output that the store made and another report reads.
    report = make_report(tmp_path, {"analysis": quick, "made_by_store": output.path})
    card = json.loads((report / "volatile" / "run_card.json").read_text())
    assert [(row["input"], row["key"]) for row in card["stages"]] == [
        ("made_by_store", spec.key[:8])
    ]
    (cost,) = card["cost"]
    assert cost["seconds"] > 0
    assert cost["gpu_seconds"] == 0
    assert {row["name"] for row in card["run_card"]} >= {"numpy", "commit", "platform"}
    assert spec.key[:8] in (report / PAGE).read_text()


def test_seconds_and_hosts_do_not_change_the_content(quick: Path, tmp_path: Path) -> None:
    digests = []
    for name in ("one", "other"):
        if digests:
            time.sleep(1.1)  # pages show times to the second
        store = Store(tmp_path / name)
        definition = StageDefinition(
            name="report", schema=1, entry="qsm_core.reporting.speech.report", libraries=()
        )
        given = {"analysis": StageInput(quick, "0" * 64)}
        inner = make_output(
            store, build_spec(definition, {}, given), given, {}, lambda done, total, message: None
        )
        given |= {"made_by_store": StageInput(inner.path, inner.digest)}
        outer = make_output(
            store, build_spec(definition, {}, given), given, {}, lambda done, total, message: None
        )
        digests.append((inner.digest, outer.digest, (outer.path / PAGE).read_bytes()))
    assert digests[0][:2] == digests[1][:2]
    assert digests[0][2] != digests[1][2]  # it shows when and how long


def test_imports_neither_torch_nor_prefect() -> None:
    check = (
        "import sys, qsm_core.reporting.speech.report, qsm_core.evaluation.analysis.analyze, "
        "qsm_core.statistics.bootstrap\n"
        "heavy = {'torch', 'transformers', 'peft', 'prefect', 'librosa'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True, timeout=120)
