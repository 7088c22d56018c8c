"""The commands of docs/migration.md, in a folder like a checkout of the first system.

Each command is run as written, with two changes: the embedded model takes the place of the 7B
model, and runs end after their plan (`--plan-only`). The comparison, which needs no model, is made
in full.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from flows.terminal.qsm_command import main
from qsm_core.models.identity import EMBEDDED_FOLDER
from tests.support.adapters import write_test_adapter
from tests.support.audio_files import write_audio
from tests.support.comparisons import answers, write_original
from tests.support.pipeline import PrefectService

PAGE = (Path(__file__).parents[1] / "docs" / "migration.md").read_text(encoding="utf-8")
COMMANDS = [
    line.strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
COMPARISON = [one for one in COMMANDS if one.startswith("qsm compare-models")]
PROMPT = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."
LETTERS = "What is in this audio? A) SPEECH B) NONSPEECH. Answer with A or B ONLY."
VARIANTS = {"duration": ("dur_100ms", "dur100ms"), "snr": ("snr_0dB", "snr+0dB")}


def _clips(splits: tuple[str, ...], groups: int) -> Iterator[tuple[str, str, str]]:
    for number, split in enumerate(splits):
        for group in range(groups):
            name = "abcdefghij"[number] + "abcdefghij"[group] + "xyz"
            yield split, f"voxconverse_{name}_{group}.5_1000ms", "SPEECH"
            yield split, f"esc50_1-{number}{group}7-A-{group}_0007_1000ms", "NONSPEECH"


def _write_data(folder: Path) -> None:
    """Write both data sets: three CSVs with their audio, and the parquet with its spellings."""
    variants = folder / "experimental_variants"
    rows: dict[str, list[dict[str, object]]] = {"train": [], "dev": [], "test": []}
    for split, clip, label in _clips(("train", "dev", "test"), groups=3):
        for kind, (_, suffix) in VARIANTS.items():
            audio = write_audio(variants / "audio" / split / f"{clip}_{suffix}.wav")
            rows[split].append(
                {
                    "clip_id": clip,
                    "variant_id": f"{clip}_{suffix}",
                    "variant_type": kind,
                    "duration_ms": 100 if kind == "duration" else 1000,
                    "snr_db": 0 if kind == "snr" else None,
                    "T60": None,
                    "band_filter": None,
                    "audio_path": f"c:\\opro2\\data\\{audio.relative_to(folder)}",
                    "label": label,
                    "ground_truth": label,
                    "group_id": clip,
                }
            )
    for split, of_split in rows.items():
        pd.DataFrame(of_split).to_csv(variants / f"{split}_metadata.csv", index=False)
    final = folder / "conditions_final"
    table = []
    for split, clip, label in _clips(("dev", "test"), groups=4):
        for kind, (_, suffix) in VARIANTS.items():
            write_audio(final / kind / f"{clip}_{suffix}.wav")
            table.append(
                {
                    "clip_id": clip,
                    "variant_type": kind,
                    "duration_ms": 100.0 if kind == "duration" else 1000.0,
                    "snr_db": 0.0 if kind == "snr" else None,
                    "band_filter": None,
                    "rir_id": None,
                    "T60": None,
                    "T60_bin": None,
                    "silent_segment": False,
                    "label": "NON-SPEECH" if label == "NONSPEECH" else label,
                    "ground_truth": label,
                    "audio_path": f"data\\processed\\conditions_final\\{kind}\\{clip}_{suffix}.wav",
                    "split": split,
                }
            )
    pd.DataFrame(table).to_parquet(final / "conditions_manifest_split.parquet")


def _write_normalized(folder: Path) -> None:
    """Write the oldest set: two changes at once, and speakers in both splits."""
    rows: dict[str, list[dict[str, object]]] = {"train": [], "test": []}
    for number, (_, clip, label) in enumerate(_clips(("train", "dev", "test"), groups=4)):
        for split, snr in (("train", 0), ("test", 20)):
            name = f"{clip.removeprefix('esc50_')}_normalized_200ms_snr+{snr}dB"
            audio = write_audio(folder / f"{name}.wav")
            rows[split].append(
                {
                    "clip_id": clip,
                    "original_variant": f"{clip}_dur200ms_snr+{snr}dB",
                    "duration_ms": 200,
                    "snr_db": float(snr),
                    "audio_path": f"data/processed/normalized_clips/{audio.name}",
                    "ground_truth": label,
                    "dataset": "voxconverse" if label == "SPEECH" else "esc50",
                    "rms": 0.1 + number / 1000,
                }
            )
    for split, of_split in rows.items():
        pd.DataFrame(of_split).to_csv(folder / f"{split}_metadata.csv", index=False)


def _write_results(folder: Path) -> None:
    for name, skill in (("base", 0.5), ("lora", 1.5)):
        (folder / f"eval_{name}").mkdir(parents=True)
        write_original(folder / f"eval_{name}" / "predictions.csv", answers(name, skill=skill))
    for name in ("base", "lora"):
        search = folder / f"opro_{name}_seed42"
        search.mkdir()
        (search / "best_prompt.txt").write_text(PROMPT)
        tried = [{"prompt": PROMPT, "reward": 0.9}, {"prompt": "What do you hear?", "reward": 0.5}]
        lines = [json.dumps(one) + "\n" for one in tried]
        (search / "opro_prompts.jsonl").write_text("".join(lines))


def _write_settings(folder: Path) -> None:
    (folder / "configs").mkdir()
    (folder / "prompts").mkdir()
    templates = [{"id": "ab01", "text": LETTERS, "mapping": {"A": "SPEECH", "B": "NONSPEECH"}}]
    (folder / "prompts" / "ab.json").write_text(json.dumps({"templates": templates}))
    pipeline = {
        "training": {"seeds": [42, 123], "lora": {"r": 4, "alpha": 8}, "base_model": "embedded"},
        "optimization": {"prompt_search": {"templates": [PROMPT, LETTERS]}},
        "paths": {"experimental_variants": "c:/opro2/data/processed/experimental_variants"},
    }
    (folder / "configs" / "pipeline_config.yaml").write_text(yaml.safe_dump(pipeline))
    general = {"PROTOTYPE_MODE": True, "lora": {"r": 8}, "training": {"batch_size": 4}}
    (folder / "config.yaml").write_text(yaml.safe_dump(general))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder like a checkout of the first system, with its results."""
    folder = tmp_path_factory.mktemp("old checkout")
    _write_data(folder / "data" / "processed")
    _write_normalized(folder / "data" / "processed" / "normalized_clips")
    _write_results(folder / "results")
    _write_settings(folder)
    write_test_adapter(folder / "checkpoints" / "qwen_lora_seed42" / "final", EMBEDDED_FOLDER)
    return folder


def _arguments(command: str) -> list[str]:
    words = shlex.split(command.replace("qwen2-audio-7b", "embedded"))
    assert words[0] == "qsm"
    return words[1:]


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what a command changes in its process: environment, file mode mask, logging."""
    mask = os.umask(0o022)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    yield
    os.umask(mask)


@pytest.mark.usefixtures("process")
@pytest.mark.filterwarnings("ignore:.* found in sys.modules after import:RuntimeWarning")
@pytest.mark.parametrize("command", [one for one in COMMANDS if one not in COMPARISON])
def test_command(
    command: str,
    checkout: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(checkout)
    arguments = _arguments(command)
    if arguments[0] != "data":
        arguments.append("--plan-only")
    with pytest.raises(SystemExit) as end:
        main(arguments)
    printed = capsys.readouterr()
    assert end.value.code in (0, None), printed.err + printed.out
    if "--opro-pool results" in command:
        assert "left out" in printed.err
    if "--config configs" in command:
        assert "settings of the first system; taken: " in printed.err


@pytest.mark.server
def test_the_comparison_is_finished(
    prefect_service: PrefectService, checkout: Path, tmp_path: Path
) -> None:
    (command,) = COMPARISON
    done = subprocess.run(
        [
            *(sys.executable, "-m", "flows.terminal.qsm_command", *_arguments(command)),
            *("--num-resamples=100", f"--store={tmp_path / 'store'}"),
        ],
        cwd=checkout,
        env={**prefect_service.environment, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LoRA" in done.stdout
    assert (checkout / "results" / "old-runs" / "report.html").is_file()


def test_the_page_names_the_figures_of_the_old_changelog_and_is_linked() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert "(docs/migration.md)" in "\n".join(readme.splitlines()[:45])
    for figure in ("50 % by logits, 99 % by generate", "95 of 96", "79.2 %", "13 groups"):
        assert figure in PAGE
