"""Where the recordings of a user lie and how their annotations are read: what cannot work."""

from __future__ import annotations

from pathlib import Path

from qsm_core.detection.annotations.crowsetta_formats import crowsetta_problem
from qsm_core.detection.prepare_config import PrepareRecordings


def source_problems(data: str | None, audio_root: str | None, annotation_format: str) -> list[str]:
    """List what is wrong with the parameters that say where recordings are read from.

    Args:
        data: The recordings; None: synthetic ones.
        audio_root: Folder of the audio, where it is another one.
        annotation_format: Form of the annotations.
    """
    default = PrepareRecordings.annotation_format
    given = {"audio_root": (audio_root, None), "annotation_format": (annotation_format, default)}
    problems = [
        f"{name} = {value!r}: is for your own recordings, which `data` names"
        for name, (value, unset) in given.items()
        if data is None and value != unset
    ]
    if audio_root is not None and not Path(audio_root).expanduser().is_dir():
        problems.append(f"audio_root = {audio_root!r}: there is no such folder")
    missing = crowsetta_problem(annotation_format)
    return [*problems, missing] if missing else problems
