"""Fields that mean something for one kind of clips alone: the synthetic ones, or the user's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flows.speech.lists import condition_keys
from flows.speech.parameters import PipelineParameters
from qsm_core.conditions.config import AS_RECORDED
from qsm_core.errors import ConfigurationError
from qsm_core.labels import Split
from qsm_core.plurals import counted

SYNTHETIC_FIELDS = ("train_clips", "dev_clips", "test_clips")
_SELECTING_FIELDS = (
    *("limit", "min_snr_db", "min_duration_ms", "min_active_share", "balance_classes"),
    "headroom_db",
)


def wrong_for_clips(given: PipelineParameters) -> Iterator[str]:
    """Yield the fields that are given and would change nothing.

    Args:
        given: The parameters before the preset filled any.
    """
    for name in SYNTHETIC_FIELDS:
        value = getattr(given, name)
        if value is not None and given.data is not None:
            yield (
                f"{name} = {value}: is of the synthetic corpus, but data is given, which keeps its "
                "clips; leave it out, or give limit to use fewer of them"
            )
    if given.test_clips is not None and given.data is None and given.test_data is not None:
        yield (
            f"test_clips = {given.test_clips}: is of the synthetic corpus, whose test clips "
            "test_data replaces; leave it out"
        )
    for name in _SELECTING_FIELDS if given.data is None else ():
        value = getattr(given, name)
        if value != PipelineParameters.model_fields[name].default:
            yield (
                f"{name} = {value}: chooses among clips of your own, but data is empty; for fewer "
                f"synthetic clips give {', '.join(SYNTHETIC_FIELDS)}"
            )


def check_tables(parameters: PipelineParameters) -> None:
    """Refuse conditions that the clips of a table cannot be put into, before they are read.

    Raises:
        ConfigurationError: All clips are already rendered, and the conditions are to be rendered.
    """
    if condition_keys(parameters.conditions) == AS_RECORDED:
        return
    given = {"data": parameters.data, "test_data": parameters.test_data}
    problems = [
        f"{field} = {path!r}: its clips are already rendered in conditions and cannot be rendered "
        f"again; give --conditions {AS_RECORDED}"
        for field, path in given.items()
        if path is not None and _is_rendered(Path(path).expanduser())
    ]
    if problems:
        raise ConfigurationError("the clips do not fit the conditions", problems)


def _is_rendered(path: Path) -> bool:
    """Say whether every clip of a table is rendered; of other forms none is."""
    from qsm_core.data.importers.registry import recognize  # with pandas: late
    from qsm_core.data.manifest import read_frame

    importer = recognize(path)
    if importer is None or importer.kind not in {"manifest", "qsm_parquet", "qsm_csv"}:
        return False
    if importer.kind != "manifest":
        return True
    frame = read_frame(path)
    return "condition" in frame and bool((frame["condition"].fillna("") != "").all())


def check_conditions(conditions: str, corpus: Path, splits: tuple[Split, ...]) -> None:
    """Refuse conditions that a prepared corpus of rendered clips cannot be put into.

    Args:
        conditions: As the parameter has them.
        corpus: Folder of the corpus.
        splits: Those that the stages read.

    Raises:
        ConfigurationError: A split has no clip that can be rendered; says what to give instead.
    """
    if condition_keys(conditions) == AS_RECORDED:
        return
    from qsm_core.data.clip_counts import count_clips

    problems = []
    for split in splits:
        rows, clean = (count_clips(corpus, split, kind) for kind in (AS_RECORDED, ()))
        if rows and not clean:
            problems.append(
                f"conditions = {conditions!r}: {counted(rows, 'row')} of split {split} are already "
                f"rendered in a condition and cannot be rendered again; give --conditions "
                f"{AS_RECORDED}"
            )
    if problems:
        raise ConfigurationError("the clips do not fit the conditions", problems)
