"""Annotations in the formats of crowsetta, which is installed with `qsm[crowsetta]`.

Reference:
    Nicholson, "Crowsetta: A Python tool to work with any format for annotating animal vocalizations
    and bioacoustics data", Journal of Open Source Software 8(84), 2023.
"""

from __future__ import annotations

import warnings
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
_WITH_EXACT_TIMES = frozenset(CROWSETTA_FORMS) - {"aud-bbox", "generic-seq"}

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
    options: dict[str, Any] = {"round_times": False} if form in _WITH_EXACT_TIMES else {}
    if form == "textgrid" and tier is not None:
        options["tier"] = tier
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of audio that is looked for here as well
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
        for number, (span, label, frequencies) in enumerate(_events(annotation), 1):
            try:
                begin_s, end_s = _seconds(span, name, sample_rate_of)
            except ValueError as error:
                problems.append(f"{path}, event {number}: {error}")
                break
            marks.append(Mark(number, begin_s, end_s, label or None, name, *frequencies))
    return Marks(path, form, tuple(marks), tuple(problems))


def _events(annotation: Any) -> Iterator[tuple[Any, str, tuple[float | None, float | None]]]:
    """Yield where each event is, its label, and its lowest and highest frequency."""
    for box in getattr(annotation, "bboxes", ()):
        yield box, str(box.label).strip(), (float(box.low_freq), float(box.high_freq))
    sequences = getattr(annotation, "seq", ())
    for sequence in sequences if isinstance(sequences, list) else [sequences]:
        for segment in getattr(sequence, "segments", ()):
            yield segment, str(segment.label).strip(), (None, None)


def _seconds(span: Any, name: str | None, sample_rate_of: SampleRateOf) -> tuple[float, float]:
    """Return begin and end in seconds, from whatever the event has.

    Raises:
        ValueError: Its times are in samples, and there is no audio that says their rate.
    """
    if hasattr(span, "onset"):
        return float(span.onset), float(span.offset)
    if span.onset_s is not None:
        return float(span.onset_s), float(span.offset_s)
    rate = sample_rate_of(name)
    if rate is None:
        raise ValueError(
            "its times are in samples, which need the rate of its audio; there is no audio file "
            f"{name or 'of its name'!r}"
        )
    return float(span.onset_sample) / rate, float(span.offset_sample) / rate
