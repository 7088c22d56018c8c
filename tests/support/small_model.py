"""A small Qwen2-Audio model with random weights, for tests: the real classes, a second to build.

`small_model_folder` is a session fixture (a plugin of tests/conftest.py). Its weights are drawn
wide enough that the audio and the instruction both move the logits by far more than rounding does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.once import made_once

TEXTS = (
    "You classify audio content.",
    "Does this audio contain human speech? Answer SPEECH or NONSPEECH.",
    "Audio 1: A) SPEECH (human voice) B) NONSPEECH (music, noise, silence, animals)",
    "Answer with A or B ONLY. C) noise D) silence",
    "SPEECH NONSPEECH A B C D",
)


def build_small_model(folder: Path, **changes: Any) -> Path:
    """Write the small test model, with any argument of `build_small_audio_llm` changed."""
    from qsm_core.models.small_audio_llm import build_small_audio_llm

    settings: dict[str, Any] = {"texts": TEXTS, "seed": 7, "initializer_range": 0.1}
    return build_small_audio_llm(folder, **(settings | changes))


@pytest.fixture(scope="session")
def small_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small model, built once a test session."""
    return made_once(tmp_path_factory, "small-model", build_small_model)


@pytest.fixture(scope="session")
def small_llm(small_model_folder: Path) -> Any:
    """The small model, loaded on the CPU in float32. Tests must not change it."""
    from qsm_core.models.audio_llm import load_audio_llm

    return load_audio_llm(small_model_folder, device="cpu")
