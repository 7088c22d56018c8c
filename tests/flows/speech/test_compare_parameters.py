"""Sources of a comparison as a user gives them, and what is wrong with them."""

from pathlib import Path

import pytest

from flows.speech.compare_parameters import find_systems, parse_compare_parameters
from qsm_core.errors import ConfigurationError
from qsm_core.evaluation.analysis.settings import Pair


def _run(folder: Path, *systems: str) -> Path:
    for system in systems:
        (folder / f"eval_{system}").mkdir(parents=True)
        (folder / f"eval_{system}" / "predictions.parquet").touch()
    return folder


def _file(path: Path) -> str:
    path.touch()
    return str(path)


def test_the_systems_of_one_run_keep_their_names(tmp_path: Path) -> None:
    run = _run(tmp_path / "run", "lora", "base", "base_opro", "energy")
    (run / "opro_base").mkdir()
    (run / "opro_base" / "dev_predictions.parquet").touch()
    found = find_systems([str(run), _file(tmp_path / "my_vad_predictions.csv.gz")])
    assert [(one.name, one.title) for one in found.systems] == [
        ("base", "base"),
        ("lora", "lora"),
        ("base_opro", "base_opro"),
        ("energy", "energy"),
        ("my_vad", "my vad"),
    ]
    on_dev = {one.name: one.dev for one in found.systems if one.dev}
    search = run / "opro_base"
    assert on_dev == {"base": (search, "first"), "base_opro": (search, "winner")}


def test_an_ensemble_has_its_dev_scores_beside_those_of_test(tmp_path: Path) -> None:
    run = _run(tmp_path / "run", "lora_ensemble")
    (one,) = find_systems([str(run)]).systems
    assert one.dev is None
    (run / "eval_lora_ensemble" / "dev_predictions.parquet").touch()
    (one,) = find_systems([str(run)]).systems
    assert one.dev == (run / "eval_lora_ensemble", "ensemble")


def test_an_evaluation_of_dev_comes_before_a_search(tmp_path: Path) -> None:
    run = _run(tmp_path / "run", "base")
    for folder, file in (("dev_base", "predictions"), ("opro_base", "dev_predictions")):
        (run / folder).mkdir()
        (run / folder / f"{file}.parquet").touch()
    (one,) = find_systems([str(run)]).systems
    assert one.dev == (run / "dev_base", "evaluation")


def test_several_runs_stand_in_front_of_their_systems(tmp_path: Path) -> None:
    runs = [str(_run(tmp_path / name, "base")) for name in ("seed42", "seed43")]
    found = find_systems(runs)
    assert [(one.name, one.run) for one in found.systems] == [
        ("seed42.base", "seed42"),
        ("seed43.base", "seed43"),
    ]


def test_a_title_stands_in_front_of_a_file(tmp_path: Path) -> None:
    path = _file(tmp_path / "a.csv")
    (one,) = find_systems([f"Silero VAD={path}"]).systems
    assert (one.name, one.title, str(one.predictions)) == ("Silero_VAD", "Silero VAD", path)


def test_all_wrong_sources_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    same = [_file(tmp_path / "same.csv"), _file(tmp_path / "same.parquet")]
    wrong = [str(tmp_path / "gone.csv"), _file(tmp_path / "notes.txt"), str(tmp_path / "empty")]
    with pytest.raises(ConfigurationError) as caught:
        find_systems([*wrong, *same])
    expected = " ".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    assert "gone.csv: there is no such file or folder" in expected
    assert "notes.txt: is none of .csv, .csv.gz, .parquet" in expected
    assert "empty: no eval_* folder with predictions.parquet; give the folder of a" in expected
    assert "two sources are called 'same'; give one another title: TITLE=FILE" in expected


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        ({"sources": []}, "sources"),
        ({"name": "a/b"}, "name = 'a/b'"),
        ({"rows": "some"}, "rows = 'some': Input should be 'same' or 'common'"),
        ({"num_resamples": 3}, "num_resamples = 3: Input should be greater than or equal to 100"),
        ({"cluster": "no_such"}, "no_such"),
        ({"pairs": ["base"]}, "pairs = 'base': give FIRST,SECOND or FIRST,SECOND,FAMILY"),
        ({"pairs": ["base,who"]}, r"no system 'who'; there are base, lora, lora@dev"),
        ({"pairs": ["base,base"]}, "names one system twice"),
    ],
)
def test_wrong_values(wrong: dict[str, object], shown: str, tmp_path: Path) -> None:
    run = _run(tmp_path / "run", "base", "lora")
    (run / "opro_lora").mkdir()
    (run / "opro_lora" / "dev_predictions.parquet").touch()
    with pytest.raises(ConfigurationError, match=shown):
        parse_compare_parameters({"sources": [str(run)]} | wrong)


def test_pairs_by_name_or_title(tmp_path: Path) -> None:
    run = _run(tmp_path / "run", "base")
    found = find_systems([str(run), f"My VAD={_file(tmp_path / 'vad.csv')}"])
    assert found.pairs(["base,My VAD", "base, My_VAD, detectors"]) == (
        Pair("base", "My_VAD", "named"),
        Pair("base", "My_VAD", "detectors"),
    )
