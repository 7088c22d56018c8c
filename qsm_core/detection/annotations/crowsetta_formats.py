"""Annotations in the formats of crowsetta, which is installed with `qsm[crowsetta]`.

Reference:
    Nicholson, "Crowsetta: A Python tool to work with any format for annotating animal vocalizations
    and bioacoustics data", Journal of Open Source Software 8(84), 2023.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from qsm_core.detection.annotations.forms import CROWSETTA_FORMS, CrowsettaForm
from qsm_core.detection.annotations.marks import Mark, Marks
from qsm_core.errors import ConfigurationError, DataError

# What their files end in; how large letters are does not matter.
SUFFIXES_OF: dict[CrowsettaForm, tuple[str, ...]] = {
    "aud-bbox": (".txt",),
    "aud-seq": (".txt",),
    "birdsong-recognition-dataset": (".xml",),
    "generic-seq": (".csv",),
    "notmat": (".not.mat",),
    "simple-seq": (".csv", ".txt"),
    "textgrid": (".textgrid",),
    "timit": (".phn", ".wrd"),
    "yarden": (".mat",),
}
_ROUNDED = frozenset(CROWSETTA_FORMS) - {"aud-bbox", "generic-seq"}  # unless that is turned off
_IN_SAMPLES = frozenset({"birdsong-recognition-dataset", "timit"})

SampleRateOf = Callable[[str | None], int | None]


def crowsetta_problem(form: str) -> str | None:
    """Return what is missing to read a form, or None."""
    if form not in CROWSETTA_FORMS or find_spec("crowsetta") is not None:
        return None
    return (
        f"annotation_format = {form!r}: needs the package crowsetta: pip install 'qsm[crowsetta]'"
    )


def read_crowsetta(
    path: Path,
    form: CrowsettaForm,
    sample_rate_of: SampleRateOf,
    *,
    tier: str | None = None,
) -> Marks:
    """Read a file of annotations.

    Args:
        path: The file.
        form: Its format, by crowsetta's name.
        sample_rate_of: Rate in Hz of the audio that a name means (None: the file's own name), where
            times are in samples; None where there is no such audio.
        tier: Of a TextGrid: the tier to read; None: all.

    Raises:
        ConfigurationError: crowsetta is not installed.
        DataError: The file cannot be read in that format.
    """
    problem = crowsetta_problem(form)
    if problem is not None:
        raise ConfigurationError("the annotations cannot be read", [problem])
    import crowsetta  # an extra, and slow to import

    kind: Any = crowsetta.formats.by_name(form)
    options: dict[str, Any] = {"round_times": False} if form in _ROUNDED else {}
    if form in _IN_SAMPLES:
        options["samplerate"] = 1  # theirs is found only where the audio lies as they expect it
    if form == "textgrid" and tier is not None:
        options["tier"] = tier
    try:
        found = kind.from_file(path).to_annot(**options)
    except Exception as error:
        text = f"{path}: cannot be read as {form} ({type(error).__name__}: {error})"
        raise DataError("cannot read the annotations", [text]) from error
    marks: list[Mark] = []
    problems: list[str] = []
    for annotation in found if isinstance(found, list) else [found]:
        # What evsonganaly records is no form of audio that anything else reads.
        notated = annotation.notated_path
        name = None if notated is None else Path(notated).name.removesuffix(".cbin")
        rate = sample_rate_of(name) if form in _IN_SAMPLES else 1
        if rate is None:
            problems.append(
                f"{path}: its times are in samples, which need the rate of the audio; there is no "
                f"audio file {name or 'of its name'!r}"
            )
            continue
        for number, (begin, end, label, low, high) in enumerate(_events(annotation), 1):
            marks.append(
                Mark(
                    number, begin / rate, end / rate, label or None, name, low_hz=low, high_hz=high
                )
            )
    return Marks(path, form, tuple(marks), tuple(problems))


def _events(annotation: Any) -> Iterator[tuple[float, float, str, float | None, float | None]]:
    """Yield begin, end, label, lowest and highest frequency of each event."""
    for box in getattr(annotation, "bboxes", ()):
        times = float(box.onset), float(box.offset)
        yield *times, str(box.label).strip(), float(box.low_freq), float(box.high_freq)
    sequences = getattr(annotation, "seq", ())
    for sequence in sequences if isinstance(sequences, list) else [sequences]:
        for segment in getattr(sequence, "segments", ()):
            times = float(segment.onset_s), float(segment.offset_s)
            yield *times, str(segment.label).strip(), None, None
