"""`qsm score-events` scores tables of any form, on the terminal and as files."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.terminal.qsm_command import all_commands
from qsm_core.detection.score_events.__main__ import app
from tests.qsm_core.detection.test_annotations import RAVEN, table


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "200"})
    return done.exit_code, done.output


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    """Return a folder of Raven tables, and one CSV of detections."""
    for name, rows in {"a.b": ["0\t1", "5\t6"], "quiet": []}.items():
        lines = [f"{n}\tSpectrogram 1\t1\t{row}\t0\t9\thum" for n, row in enumerate(rows)]
        table(tmp_path / "truth" / f"{name}.Table.1.selections.txt", f"{RAVEN}\tSpecies", *lines)
    found = table(
        tmp_path / "found.csv",
        "file,start_ms,end_ms,label,score",
        "x/a.b.wav,100,1100,hum,2.5",
        "x/a.b.wav,5000,5400,hum,0.5",
        "x/quiet.wav,0,1000,hum,1.5",
    )
    return tmp_path / "truth", found


def test_it_is_a_command_of_its_own() -> None:
    (command,) = [each for each in all_commands() if each.name == "score-events"]
    assert command.module == "qsm_core.detection.score_events"
    assert command.line.startswith("Score tables of events")


def test_any_form_is_scored_against_any_other(tables: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "scores.json"
    code, shown = run(*tables, "--iou", 0.3, "--iou", 0.5, "--collar", 0.2, "--out", out)
    assert code == 0, shown
    assert "Over everything" in shown
    scores = json.loads(out.read_text())
    by_criterion = {row["criterion"]: row for row in scores["overall"]}
    # IoU 0.9 / 1.1 and 0.4: both exceed 0.3, one exceeds 0.5.
    assert (by_criterion["IoU > 0.3"]["tp"], by_criterion["IoU > 0.5"]["tp"]) == (2, 1)
    assert by_criterion["IoU > 0.3"]["f1"] == pytest.approx(4 / 5)
    # Ends differ by 0.6 s, more than half of the length.
    assert by_criterion["collar 0.2 s"]["tp"] == 1
    # By score: hit, false alarm, hit: 1/2 + 1/2 * 2/3.
    assert by_criterion["IoU > 0.3"]["average_precision"] == pytest.approx(5 / 6)
    first = [row for row in scores["recordings"] if row["criterion"] == "IoU > 0.3"]
    assert [(row["recording_id"], row["tp"], row["fp"]) for row in first] == [
        ("a.b", 2, 0),
        ("quiet", 0, 1),
    ]


def test_the_csv_holds_all_tables(tables: tuple[Path, Path], tmp_path: Path) -> None:
    code, shown = run(*tables, "--greedy", "--out", tmp_path / "scores.csv")
    assert code == 0, shown
    written = pd.read_csv(tmp_path / "scores.csv")
    assert set(written["table"]) == {"overall", "labels", "recordings"}
    assert "IoU >= 0.4, greedy" in set(written["criterion"])


def test_the_few_shot_score_takes_subsets_from_folders(tmp_path: Path) -> None:
    header = "Audiofilename,Starttime,Endtime,Q"
    for subset, name in (("PB", "p"), ("ME", "m")):
        rows = [f"{name}.wav,{10 * n},{10 * n + 1},POS" for n in range(7)]
        table(tmp_path / "truth" / subset / f"{name}.csv", header, *rows)
    found = table(
        tmp_path / "found.csv",
        "Audiofilename,Starttime,Endtime",
        "p.wav,50,51",
        "p.wav,60,61",
        "m.wav,50,51",
        "m.wav,80,81",
    )
    code, shown = run(tmp_path / "truth", found, "--form", "dcase", "--out", tmp_path / "s.json")
    assert code == 0, shown
    (row,) = json.loads((tmp_path / "s.json").read_text())["overall"]
    # F1 is 1 and 1 / 2: harmonic mean 2 / 3.
    assert row["f1"] == pytest.approx(2 / 3)


def test_two_single_tables_are_about_the_same_recording(tmp_path: Path) -> None:
    truth = table(tmp_path / "gt_1.csv", "0.0,1.0", "3.0,4.0")
    found = table(tmp_path / "mupet_1.csv", '"0,1","1,1"')
    code, shown = run(truth, found)
    assert code == 0, shown
    assert "0.667" in shown


def test_what_cannot_be_scored_is_explained(tables: tuple[Path, Path], tmp_path: Path) -> None:
    truth, _ = tables
    other = table(tmp_path / "other.csv", "file,begin,end,label", "a.b.wav,0,1,bark")
    code, shown = run(truth, other)
    assert code == 2
    assert "no label is in both tables: the truth has hum; what was found has bark" in shown
    assert run(truth, other, "--any-label")[0] == 0
    strange = table(tmp_path / "strange.csv", "file,begin,end,label", "c.wav,0,1,hum")
    assert "no recording is in both" in run(truth, strange)[1]
    code, shown = run(truth, other, "--iou", 1.5, "--form", "word", "--out", "x.xlsx")
    assert code == 2
    assert all(each in shown for each in ("--iou 1.5", "--form word", "--out x.xlsx"))
    assert "there is no such file" in run(truth, tmp_path / "gone")[1]
