"""The names of the first system's files: base clip, group, class and conditions.

Its manifests and its predictions name a rendered file the same way, so both are read here and
nowhere else:

    voxconverse_<recording>_<start>[_1000ms]<variant>
        SPEECH, of the group voxconverse_<recording>
    [esc50_]<fold>-<recording>-<take>-<class>[_<more>]<variant>
        NONSPEECH, of the group esc50_<fold>-<recording>

A variant is any number of `_dur20ms`, `_snr-10dB`, `_reverbnone`, `_reverb0.3s`, `_filterbandpass`,
`_bandtelephony`, `_rir_T60_0.0-0.4`, or `_normalized_200ms_snr+0dB`; two of them are two changes at
once. The takes of one recording are one group. A bin of T60 stands for its nominal value (0.2, 0.6,
1.1 s).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PureWindowsPath

from qsm_core.conditions.grid import Band, Condition, Dimension
from qsm_core.errors import ConfigurationError
from qsm_core.labels import Label

BANDS = {
    "none": Band.NONE,
    "telephony": Band.BANDPASS,
    "bandpass": Band.BANDPASS,
    "lp3400": Band.LOWPASS,
    "lowpass": Band.LOWPASS,
    "hp300": Band.HIGHPASS,
    "highpass": Band.HIGHPASS,
}
NOMINAL_T60_S = {"T60_0.0-0.4": 0.2, "T60_0.4-0.8": 0.6, "T60_0.8-1.5": 1.1}
NAME_FORMS = (
    "voxconverse_<recording>_<start>... or [esc50_]<fold>-<recording>-<take>-<class>..., such as "
    "voxconverse_abjxc_0042_1000ms_dur20ms.wav or 1-172649-B-40_1000ms_010_snr-10db.wav"
)

_VARIANT = re.compile(
    r"_(?:(?:dur|normalized_)(?P<duration>\d+)ms|snr(?P<snr>[+-]?\d+(?:\.\d+)?)db"
    r"|reverb(?:none|(?P<t60>\d+(?:\.\d+)?)s)|(?:filter|band)(?P<band>[a-z0-9]+)"
    r"|rir_(?P<bin>t60_[\d.]+-[\d.]+))",
    re.IGNORECASE,
)
_VARIANTS = re.compile(rf"(?:{re.sub('[?]P<[a-z0-9]+>', '?:', _VARIANT.pattern)})+$", re.I)
_SPEECH_NAME = re.compile(r"^(?P<group>voxconverse_[^_]+)_[\d.]+")
_SOUND_NAME = re.compile(r"^(?:esc50_)?(?P<group>\d-\d+)-(?P<take>[A-Z])-(?P<category>\d+)(?:_|$)")
_SUFFIX = re.compile(r"\.(?:wav|flac|ogg|mp3)$", re.IGNORECASE)


@dataclass(frozen=True)
class BaseClip:
    """What a file name of the first system says.

    Attributes:
        clip_id: The name without its variant: the same for all renderings of a clip.
        group_id: Recording of VoxConverse, or of ESC-50.
        source: "voxconverse" or "esc50".
        category: Class of ESC-50.
        label: Follows from the source.
        conditions: What the variant changes; none, one, or several at once.
    """

    clip_id: str
    group_id: str
    source: str
    category: str | None
    label: Label
    conditions: tuple[Condition, ...] = ()


def base_clip(path: str) -> BaseClip:
    """Read the name of a rendered file; folders of any system and the suffix are left out.

    Raises:
        ValueError: The name has neither form, or its variant has no meaning.
    """
    stem = _SUFFIX.sub("", PureWindowsPath(path).name)
    variant = _VARIANTS.search(stem)
    clip_id = stem if variant is None else stem[: variant.start()]
    conditions = () if variant is None else _conditions(variant.group())
    speech = _SPEECH_NAME.match(clip_id)
    if speech:
        return BaseClip(clip_id, speech["group"], "voxconverse", None, Label.SPEECH, conditions)
    sound = _SOUND_NAME.match(clip_id)
    if sound:
        group = f"esc50_{sound['group']}"
        return BaseClip(clip_id, group, "esc50", sound["category"], Label.NONSPEECH, conditions)
    raise ValueError(f"file name {stem!r}: needed is {NAME_FORMS}")


def band_of(text: str) -> Band:
    """Return the band that the first system calls so.

    Raises:
        ValueError: It knows no such band.
    """
    if text.lower() not in BANDS:
        raise ValueError(f"band_filter {text!r}: known are {', '.join(BANDS)}")
    return BANDS[text.lower()]


def nominal_t60_s(text: str) -> float:
    """Return the nominal T60 (s) of a bin.

    Raises:
        ValueError: It knows no such bin.
    """
    name = text.upper()
    if name not in NOMINAL_T60_S:
        raise ValueError(f"T60_bin {text!r}: known are {', '.join(NOMINAL_T60_S)}")
    return NOMINAL_T60_S[name]


def _conditions(variant: str) -> tuple[Condition, ...]:
    try:
        return tuple(_condition(part) for part in _VARIANT.finditer(variant))
    except ConfigurationError as error:
        raise ValueError(f"file name ...{variant!r}: {'; '.join(error.problems)}") from None


def _condition(part: re.Match[str]) -> Condition:
    if part["duration"]:
        return Condition(Dimension.DURATION, float(part["duration"]))
    if part["snr"]:
        return Condition(Dimension.SNR, float(part["snr"]))
    if part["band"]:
        return Condition(Dimension.FILTER, band_of(part["band"]))
    if part["bin"]:
        return Condition(Dimension.REVERB, nominal_t60_s(part["bin"]))
    return Condition(Dimension.REVERB, float(part["t60"]) if part["t60"] else None)
