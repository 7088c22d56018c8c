"""Answers of an arm: prompts in batches against one prompt at a time, and a second run.

    python -m benchmarks.acceptance [--model folder] [--batch-size 8] [--cases 16] [--turns 2]

The stage `generate_answers` on the task field-extraction, with messages made here. Both ways take
turns on one thread and are timed in CPU seconds, so that others on the machine matter little; the
time to load the model is left out of both. Every turn has to give the same answers.
Without --model the embedded SmolLM2 is converted first (a minute).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from qsm_core.acceptance.generation import generate, local_model
from qsm_core.acceptance.results.attempts import Attempt, read_attempts
from qsm_core.models.text import gguf_conversion
from qsm_core.models.text.embedded_text import embedded_text_model
from qsm_core.models.text.loading import LoadedTextModel, load_text_model
from qsm_core.stage.context import StageContext

CONFIG = {"arm": "baseline", "task": "field-extraction", "max_new_tokens": 96, "retries": 0}
NAMES = ("Anna Berg", "Luis Ortega", "Mei Tanaka", "Omar Haddad", "Petra Novak", "Sam O'Neill")
THINGS = ("chairs", "lamps", "carpets", "mugs", "desks", "shelves", "mirrors")
# A second run, in a process that says whether it came near a model.
SECOND = """\
import json, sys
from pathlib import Path
from qsm_core.acceptance.generation import generate
from qsm_core.stage.context import StageContext
given = json.loads(sys.argv[1])
paths = {name: Path(one) for name, one in given["inputs"].items()}
context = StageContext(given["config"], paths, Path(given["out"]), Path(given["work"]),
                       given["runtime"], lambda *_: None)
summary = generate.run(context)
print(json.dumps({"made": summary["made"], "torch": "torch" in sys.modules}))
"""


@dataclass(frozen=True)
class Turn:
    """One way, once: CPU seconds of answering, and what was answered."""

    seconds: float
    attempts: tuple[Attempt, ...]

    @property
    def tokens(self) -> int:
        """Tokens of all answers."""
        return sum(one.completion_tokens or 0 for one in self.attempts)

    @property
    def texts(self) -> dict[str, str]:
        """Answers by case."""
        return {one.case_id: one.raw_text for one in self.attempts}


def write_cases(path: Path, count: int) -> Path:
    """Write orders of one to three things."""
    lines = []
    for number in range(count):
        name = NAMES[number % len(NAMES)]
        things = [THINGS[(number + step) % len(THINGS)] for step in range(1 + number % 3)]
        wanted = " and ".join(f"{2 + step} {one}" for step, one in enumerate(things))
        date, total = f"2026-0{1 + number % 9}-1{number % 10}", 40 + 7 * number
        case = {
            "id": f"order-{number:02d}",
            "tier": "made",
            "text": f"This is {name}. Please bring {wanted} on {date}; we agreed on {total} EUR.",
            "expected": {"customer": name, "date": date, "items": things, "total": total},
        }
        lines.append(json.dumps(case))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def context_of(folder: Path, inputs: dict[str, Path], **runtime: Any) -> StageContext:
    """Make a context of the stage with fresh folders."""
    out, work = folder / "out", folder / "work"
    for one in (out, work):
        one.mkdir(parents=True)
    runtime = {"device": "cpu", "threads": 1, **runtime}
    return StageContext(CONFIG, inputs, out, work, runtime, lambda *_: None)


def turn(folder: Path, inputs: dict[str, Path], batch_size: int) -> Turn:
    """Answer all cases."""
    context = context_of(folder, inputs, batch_size=batch_size)
    begun = time.process_time()
    generate.run(context)
    seconds = time.process_time() - begun
    attempts = [attempt for attempt, _ in read_attempts(folder / "out" / "attempts.parquet")]
    return Turn(seconds, tuple(attempts))


def second_run(folder: Path, inputs: dict[str, Path], first: Path) -> dict[str, Any]:
    """Run the stage in a new process, with the output of a first run as a part."""
    context = context_of(folder, inputs, parts=[str(first)])
    given = {
        "config": CONFIG,
        "inputs": {name: str(path) for name, path in inputs.items()},
        "out": str(context.out),
        "work": str(context.work),
        "runtime": dict(context.runtime),
    }
    done = subprocess.run(
        [sys.executable, "-c", SECOND, json.dumps(given)],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def converted(folder: Path) -> Path:
    """Convert the embedded model, as the stage of a run does."""
    for name in ("out", "work"):
        (folder / name).mkdir(parents=True)
    inputs = {"file": embedded_text_model()}
    gguf_conversion.run(
        StageContext({}, inputs, folder / "out", folder / "work", {}, lambda *_: None)
    )
    return folder / "out"


def main() -> None:
    """Measure and print; fails where answers differ or the second run loads a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="folder of a text model")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--cases", type=int, default=16)
    parser.add_argument("--turns", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        measure(options, Path(scratch))


def measure(options: argparse.Namespace, scratch: Path) -> None:
    """Print the table of one model."""
    model = options.model or converted(scratch / "converted")
    cases = write_cases(scratch / "cases.jsonl", options.cases)
    inputs = {"cases": cases, "model": model}
    loaded = load_text_model(model, device="cpu")

    def already_loaded(*_: object, **__: object) -> LoadedTextModel:
        return loaded

    local_model.load_text_model = already_loaded  # type: ignore[assignment]
    turn(scratch / "warm", {**inputs, "cases": write_cases(scratch / "one.jsonl", 1)}, 1)
    sizes = (1, options.batch_size)
    turns: dict[int, list[Turn]] = {size: [] for size in sizes}
    print("| turn | prompts together | CPU s | tokens | tokens a CPU s |\n|---|---|---|---|---|")
    for number in range(options.turns):
        for size in sizes:
            done = turn(scratch / f"turn{number}-{size}", inputs, size)
            turns[size].append(done)
            rate = done.tokens / done.seconds
            row = (number + 1, size, f"{done.seconds:.1f}", done.tokens, f"{rate:.1f}")
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
    every = [one for size in sizes for one in turns[size]]
    first = every[0].texts
    differ = {name for one in every for name, text in one.texts.items() if text != first[name]}
    alone, together = (min(one.seconds for one in turns[size]) for size in sizes)
    print(f"\n{alone / together:.1f} times as fast; cases whose answers differ: {len(differ)}")
    again = second_run(scratch / "again", inputs, scratch / "turn0-1" / "out")
    print(f"second run: answers made {again['made']}, torch imported: {again['torch']}")
    if differ or again["made"] or again["torch"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
