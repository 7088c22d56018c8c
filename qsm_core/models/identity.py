"""Identify a model: find its folder and digest its content, without loading torch.

A model is named by one of three things: the word "embedded" (the small model inside this
package), a local folder, or a Hugging Face Hub id with the full commit hash of one revision. A
branch or tag is refused, because the weights behind it can change unnoticed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qsm_core.errors import ModelError, TransientError
from qsm_core.models.folder_problems import model_folder_problems, text_model_problems
from qsm_core.store.digests import digest_folder
from qsm_core.store.spec import StageInput

EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).parent / "embedded" / "weights"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_FILES = ("*.json", "*.safetensors", "*.txt", "*.jinja", "*.model")


@dataclass(frozen=True)
class ModelKind:
    """What a folder must contain.

    Attributes:
        problems_of: Lists what keeps a folder from being a loadable model of this kind.
        advice: What may be given as a model, as a sentence.
    """

    problems_of: Callable[[Path], list[str]]
    advice: str


def model_input(
    source: str | Path, revision: str | None = None, kind: ModelKind | None = None
) -> StageInput:
    """Return the model as a stage's input: its folder and the digest of its content.

    A Hub model is fetched if the local cache lacks it; its digest is that of id and commit hash,
    which already identify the content, so that no 16 GB have to be read.

    Raises:
        ModelError: The model is missing, incomplete, of another architecture, or not pinned.
        TransientError: The Hub did not answer.
    """
    folder = resolve_model_folder(source, revision, kind)
    if _is_hub_id(source):
        return StageInput(folder, _digest_of_pin(str(source), str(revision)))
    return StageInput(folder, digest_folder(folder))


def resolve_model_folder(
    source: str | Path, revision: str | None = None, kind: ModelKind | None = None
) -> Path:
    """Return the local folder of a complete model, by default of an audio LLM.

    Raises:
        ModelError: The model is missing, incomplete, of another architecture, or not pinned.
        TransientError: The Hub did not answer.
    """
    if _is_hub_id(source):
        return _hub_folder(str(source), revision, kind or AUDIO_LLM)
    embedded = kind is None and str(source) == EMBEDDED
    folder = EMBEDDED_FOLDER if embedded else Path(source).expanduser()
    check_model_folder(folder, str(source), kind or AUDIO_LLM)
    return folder


def check_model_folder(folder: Path, name: str, kind: ModelKind) -> None:
    """Refuse a folder without a complete model of a kind.

    Raises:
        ModelError: Every problem found, with what to do.
    """
    problems = kind.problems_of(folder)
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise ModelError(f"model {name!r} cannot be used:\n{lines}\n{kind.advice}")


def _is_hub_id(source: str | Path) -> bool:
    return (
        isinstance(source, str)
        and _HUB_ID.fullmatch(source) is not None
        and not Path(source).exists()
    )


def _digest_of_pin(name: str, revision: str) -> str:
    return hashlib.sha256(f"hub:{name}@{revision}".encode()).hexdigest()


def _hub_folder(name: str, revision: str | None, kind: ModelKind) -> Path:
    if revision is None or _COMMIT.fullmatch(revision) is None:
        raise ModelError(
            f"model {name!r}: revision {revision!r} does not pin it. {name!r} is no local folder, "
            "so it is taken as a Hub id, and that needs revision = the 40-digit commit hash "
            f"(https://huggingface.co/{name}/commits/main shows it)."
        )
    folder = _cached_snapshot(name, revision, kind)
    if folder is None:
        folder = _download(name, revision)
    check_model_folder(folder, f"{name}@{revision}", kind)
    return folder


def _cached_snapshot(name: str, revision: str, kind: ModelKind) -> Path | None:
    """Return the folder in the local Hub cache if all its files are there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    return None if kind.problems_of(folder) else folder


def _download(name: str, revision: str) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    advice = (
        f"On a machine with a network run `hf download {name} --revision {revision} "
        "--local-dir FOLDER`, and give FOLDER as the model."
    )
    if constants.HF_HUB_OFFLINE:
        raise ModelError(
            f"model {name!r} is not in the local cache, or not whole, and HF_HUB_OFFLINE forbids "
            f"to fetch it. {advice}"
        )
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(_HUB_FILES)))
    except HfHubHTTPError as error:
        raise ModelError(f"the Hub refused model {name!r}@{revision}: {error} {advice}") from error
    except (LocalEntryNotFoundError, OSError) as error:
        raise TransientError(
            f"the Hub could not be reached for model {name!r}: {error} {advice}"
        ) from error


AUDIO_LLM = ModelKind(
    model_folder_problems,
    f"Give {EMBEDDED!r}, a folder written by save_pretrained, or a Hub id such as "
    "Qwen/Qwen2-Audio-7B-Instruct with its commit hash as revision.",
)
TEXT_LLM = ModelKind(
    text_model_problems,
    "Give a folder written by save_pretrained, or a Hub id such as Qwen/Qwen2.5-7B-Instruct with "
    "its commit hash as revision.",
)
