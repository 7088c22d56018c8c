"""Stage entry: a user's clips become a prepared corpus.

`python -m qsm_core.data.prepare --spec spec.json`

Inputs, by name:

    source          folder or manifest with labelled clips
    test_data       clips for the test only; `source` then gives train and dev only
    corpus          a prepared corpus instead of `source`: its train and dev clips are kept, its
                    test clips are replaced by `test_data`
    audio_root      folder that the paths of a manifest `source` are relative to; a manifest that
                    lies outside of its audio needs it, so that changed audio is noticed
    test_audio_root the same for `test_data`

Output: a corpus divided by split, leakage.json, data_card.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from qsm_core.audio.framing import center_crop, num_samples
from qsm_core.audio.level import peak_normalize
from qsm_core.data.card import Card, write_card, write_leakage
from qsm_core.data.checks import data_error, good_clips, table_problems
from qsm_core.data.config import PrepareConfig
from qsm_core.data.corpus import Corpus, CorpusClip, write_divided_corpus
from qsm_core.data.importers.protocol import ImportOptions
from qsm_core.data.importers.registry import import_manifest
from qsm_core.data.leakage import LeakageReport, audit
from qsm_core.data.manifest import ManifestTable, records_of
from qsm_core.data.reading import PEAK, CutSettings, read_clips
from qsm_core.data.schema import parse_rows
from qsm_core.data.selection import select_clips
from qsm_core.data.splits import split_by_group
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.labels import Split
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

TITLE = "the clips cannot be used"


def run(context: StageContext) -> dict[str, Any]:
    """Prepare a corpus and return its headline numbers.

    Raises:
        ConfigurationError: The inputs or settings do not fit together.
        DataError: Clips cannot be used, or the splits leak.
    """
    config = parse_config(PrepareConfig, context.config)
    _check_inputs(context.inputs)
    card = Card()
    base = Corpus.open(context.inputs["corpus"]) if "corpus" in context.inputs else None
    tables = _import_all(context, config, card, base)
    _check_splits(tables, base, config)
    clips = _clips(tables, base, config, card, context)
    corpus = write_divided_corpus(context.out, clips)
    context.report(len(corpus), len(corpus), "looking for leakage")
    leakage = audit(corpus)
    write_leakage(context.out, leakage)
    if leakage.problems:
        raise DataError(
            "the splits leak, so no result on the test would mean anything",
            _capped(leakage.problems),
        )
    values = write_card(context.out, card, corpus, asdict(config), leakage)
    return _summary(corpus, leakage, values)


def _check_inputs(inputs: Mapping[str, Path]) -> None:
    known = {"source", "test_data", "corpus", "audio_root", "test_audio_root"}
    problems = [
        f"input {name}: unknown; known are {', '.join(sorted(known))}"
        for name in sorted(set(inputs) - known)
    ]
    if ("source" in inputs) == ("corpus" in inputs):
        problems.append("inputs source and corpus: exactly one of them is needed")
    if "corpus" in inputs and "test_data" not in inputs:
        problems.append("input corpus: is prepared already; it needs test_data beside it")
    if problems:
        raise ConfigurationError("the corpus cannot be prepared", problems)


def _import_all(
    context: StageContext, config: PrepareConfig, card: Card, base: Corpus | None
) -> list[ManifestTable]:
    """Read the tables and give every clip its split and a unique name."""
    inputs = context.inputs
    tables: list[ManifestTable] = []
    used_names = set() if base is None else set(base.clips["clip_id"])
    if "source" in inputs:
        options = _options(config, inputs.get("audio_root"), config.group_pattern)
        table = import_manifest(inputs["source"], config.kind, options=options)
        if config.selection.chooses:
            table = select_clips(
                table if config.own_splits == "keep" else _undivided(table),
                config.selection,
                _settings(config),
                seed=config.seed,
                threads=_threads(context),
                report=context.report,
            )
        card.add_source("source", table)
        tables.append(_divided(table, config, card, test_apart="test_data" in inputs))
        used_names = set(table.frame["clip_id"])
    if "test_data" in inputs:
        options = _options(config, inputs.get("test_audio_root"), config.test_group_pattern)
        table = import_manifest(inputs["test_data"], config.test_kind, options=options)
        card.add_source("test_data", table)
        frame = _with_free_names(table.frame, used_names)
        tables.append(table.with_frame(frame.assign(split="test")))
    return tables


def _undivided(table: ManifestTable) -> ManifestTable:
    return table.with_frame(table.frame.assign(split=None))


def _settings(config: PrepareConfig) -> CutSettings:
    return CutSettings(config.clip_ms, config.short_clips, headroom_db=config.headroom_db)


def _threads(context: StageContext) -> int:
    return int(context.runtime.get("threads", 4))


def _options(
    config: PrepareConfig, audio_root: Path | None, group_pattern: str | None
) -> ImportOptions:
    return ImportOptions(
        audio_root=audio_root,
        group_pattern=group_pattern,
        clip_ms=config.clip_ms,
        crops_per_recording=config.crops_per_recording,
        seed=config.seed,
    )


def _divided(
    table: ManifestTable, config: PrepareConfig, card: Card, *, test_apart: bool
) -> ManifestTable:
    """Keep the table's own splits, or divide its clips by group."""
    frame = table.frame
    if not config.divided:
        card.splitting = "not divided: nothing is trained, chosen or measured on these clips"
        return table.with_frame(frame.assign(split="test"))
    if config.own_splits == "keep" and frame["split"].notna().any():
        card.splitting = "as the manifest says"
        if test_apart and (frame["split"] == "test").any():
            left_out = int((frame["split"] == "test").sum())
            card.notes.append(f"left out: {left_out} test clips of source; test_data is the test")
            frame = frame[frame["split"] != "test"]
        return table.with_frame(frame)
    problems = list(table_problems(frame.assign(split=None)))
    if problems:
        raise data_error(TITLE, problems)
    fractions = _fractions(config, test_apart=test_apart)
    shares = ", ".join(f"{split} {share:.3g}" for split, share in fractions.items())
    card.splitting = f"by group, stratified by class, seed {config.seed}: {shares}"
    return table.with_frame(frame.assign(split=split_by_group(frame, fractions, config.seed)))


def _fractions(config: PrepareConfig, *, test_apart: bool) -> dict[Split, float]:
    if test_apart:
        return {"train": 1 - config.dev_fraction, "dev": config.dev_fraction}
    return {
        "train": 1 - config.dev_fraction - config.test_fraction,
        "dev": config.dev_fraction,
        "test": config.test_fraction,
    }


def _check_splits(tables: list[ManifestTable], base: Corpus | None, config: PrepareConfig) -> None:
    """Check classes, groups and splits of everything together, before audio is read."""
    frames = [table.frame for table in tables]
    if base is not None:
        frames.insert(0, base.clips[base.clips["split"] != "test"])
    together = pd.concat(frames, ignore_index=True)
    problems = list(table_problems(together))
    if problems:
        raise data_error(TITLE, problems)
    missing = [split for split in config.needed_splits if not (together["split"] == split).any()]
    if missing:
        raise DataError(
            TITLE,
            [
                f"no clips in split {split}: the manifest's own column split has none; add some, "
                "or give --own-splits ignore to have the clips divided anew by group"
                for split in missing
            ],
        )


def _clips(
    tables: list[ManifestTable],
    base: Corpus | None,
    config: PrepareConfig,
    card: Card,
    context: StageContext,
) -> Iterator[CorpusClip]:
    if base is not None:
        card.notes.append("train and dev come from a prepared corpus; its test clips were left out")
        yield from _base_clips(base, config.clip_ms)
    settings, threads = _settings(config), _threads(context)
    for table in tables:
        rows = parse_rows(records_of(table.frame), str(table.origin))
        read = read_clips(table, settings, threads=threads, report=context.report)
        for clip, waveform in good_clips(read, f"the clips of {table.origin} cannot be used"):
            card.count(clip)
            row = rows[clip.row].model_copy(update={"sha256": clip.sha256})
            yield CorpusClip(row, waveform)


def _base_clips(base: Corpus, clip_ms: int) -> Iterator[CorpusClip]:
    """Yield the train and dev clips of a prepared corpus, cut if they are too long."""
    kept = base.clips[base.clips["split"] != "test"]
    rows = parse_rows(records_of(kept.drop(columns=["offset", "num_samples"])), str(base.folder))
    for index, row in zip(kept.index, rows, strict=True):
        waveform = base.waveform(index)
        if row.condition is None and waveform.size > num_samples(clip_ms):
            waveform = peak_normalize(center_crop(waveform, num_samples(clip_ms)), PEAK)
        yield CorpusClip(row, waveform)


def _with_free_names(frame: pd.DataFrame, used_names: set[str]) -> pd.DataFrame:
    """Put `test_data/` before the names of the clips if any of them is already used."""
    if not frame["clip_id"].isin(used_names).any():
        return frame
    return frame.assign(clip_id="test_data/" + frame["clip_id"])


def _capped(problems: list[str], most: int = 40) -> list[str]:
    left = len(problems) - most
    return problems if left <= 0 else [*problems[:most], f"and {left} more"]


def _summary(corpus: Corpus, leakage: LeakageReport, card: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "clips": len(corpus),
        "splits": card["splits"],
        "changed": card["changed"],
        "leak_found": False,
        "warnings": leakage.warnings[:20],
    }


if __name__ == "__main__":
    run_entry(run)
