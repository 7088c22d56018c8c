"""The errors of an instruction, in words, for a text model that cannot hear the clips."""

from __future__ import annotations

from qsm_core.conditions.grid import Band, Dimension, parse_condition
from qsm_core.errors import ConfigurationError
from qsm_core.prompting.candidate_scores import Measures

_WORST = 5
_BANDS = {
    Band.NONE: "no filter",
    Band.BANDPASS: "only the telephone band left",
    Band.LOWPASS: "only low frequencies left",
    Band.HIGHPASS: "only high frequencies left",
}


def error_summary(measures: Measures) -> list[str]:
    """Return one line for all clips, one for each of the worst conditions, one for the best."""
    counts = measures.counts
    ranked = sorted(counts, key=lambda key: -_error(counts[key]))
    total = [sum(row[i] for row in counts.values()) for i in range(4)]
    lines = [f"all clips: {_error_rates((total[0], total[1], total[2], total[3]))}"]
    worst = [key for key in ranked[:_WORST] if _error(counts[key]) > 0]
    lines += [f"{condition_in_words(key)}: {_error_rates(counts[key])}" for key in worst]
    if len(ranked) > len(worst) and ranked[-1] not in worst:
        lines.append(f"{condition_in_words(ranked[-1])}: {_error_rates(counts[ranked[-1]])}")
    if measures.unparseable_rate > 0:
        lines.append(f"{100 * measures.unparseable_rate:.0f} % of the answers could not be read")
    return lines


def condition_in_words(key: str) -> str:
    """Return a condition in plain words."""
    try:
        condition = parse_condition(key)
    except ConfigurationError:
        return key.replace("_", " ")
    level = condition.level
    if isinstance(level, tuple):
        return ", ".join(condition_in_words(part.key) for part in level)
    if condition.dimension is Dimension.DURATION:
        return f"only {level:g} ms of sound"
    if condition.dimension is Dimension.SNR:
        return f"noise at {level:g} dB SNR"
    if condition.dimension is Dimension.REVERB:
        return "no reverberation" if level is None else f"reverberation of {level:g} s"
    return _BANDS[Band(str(level))]


def _error(row: tuple[int, int, int, int]) -> float:
    speech, heard, other, rejected = row
    return _share(speech - heard, speech) + _share(other - rejected, other)


def _error_rates(row: tuple[int, int, int, int]) -> str:
    speech, heard, other, rejected = row
    missed = f"{_percent(speech - heard, speech)} of the clips with speech missed"
    alarms = f"{_percent(other - rejected, other)} of the others taken for speech"
    return f"{missed}, {alarms}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * _share(part, whole):.0f} % ({part} of {whole})"


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
