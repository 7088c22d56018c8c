"""Messy folders and tables: what `check` accepts a run accepts, and nothing vanishes."""

from __future__ import annotations

import shutil
from collections import Counter
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qsm_core.data.checks import check_manifest
from qsm_core.data.corpus import Corpus
from qsm_core.data.importers.registry import import_manifest
from qsm_core.data.prepare import run
from qsm_core.data.reading import CutSettings
from qsm_core.errors import DataError
from qsm_core.stage.context import StageContext
from tests.support.audio_files import noise, write_audio

_RUNS = count()
NAMES = st.sampled_from(["anna", "b [x]", "é", "e\u0301", "Dora"])
PLACES = st.sampled_from(
    ["", "", "", "more/", "train/", ".ipynb_checkpoints/", "__MACOSX/", "@eaDir/", "._"]
)
FAULTS = st.sampled_from(["", "", "", "", "empty", "text", "dead link", "short"])
TABLES = st.sampled_from(["none", "none", "groups", "labels"])
CLIPS = st.lists(
    st.tuples(st.sampled_from(["speech", "nonspeech"]), PLACES, NAMES, st.integers(1, 3), FAULTS),
    min_size=2,
    max_size=8,
    unique_by=lambda clip: clip[:4],
)
PATH_FORMS = st.sampled_from(["{}", "./{}", "/elsewhere/clips/{}", " {} "])


def write_clip(path, fault):
    path.parent.mkdir(parents=True, exist_ok=True)
    if fault == "empty":
        path.touch()
    elif fault == "text":
        path.write_text("no audio")
    elif fault == "dead link":
        path.symlink_to("nowhere.wav")
    else:
        write_audio(path, noise(path.as_posix(), 0.3 if fault == "short" else 0.5))


def write_folder(folder, clips, table, form):
    """Write the clips and a table that names those with an even number, or all; count them."""
    rows = []
    for label, place, name, number, fault in clips:
        relative = f"{label}/{place}{name}_{number}.wav"
        write_clip(folder / relative, fault)
        rows.append((form.format(relative), f"{label}{name} ", label))
    if table == "groups":
        lines = ["path,group_id", *(f"{path},{group}" for path, group, _ in rows)]
    else:
        lines = ["path,group_id,label", *(",".join(row) for row in rows)]
    if table != "none":
        (folder / "metadata.csv").write_text("\n".join(lines))
    return len(rows)


def prepared(folder, out):
    out.mkdir()
    context = StageContext(
        config={"seed": 1, "clip_ms": 500, "divided": False, "needed_splits": ["test"]},
        inputs={"source": folder},
        out=out,
        work=out.parent / "work",
        runtime={"threads": 1},
        report=lambda done, total, message: None,
    )
    run(context)
    return Corpus.open(out)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(clips=CLIPS, table=TABLES, form=PATH_FORMS)
def test_a_run_accepts_what_check_accepts_and_nothing_vanishes(tmp_path, clips, table, form):
    here = tmp_path / str(next(_RUNS))
    folder = here / "clips"
    files = write_folder(folder, clips, table, form)
    try:
        read = import_manifest(folder)
        result = check_manifest(read, CutSettings(500), threads=1)
        faults = [problem for problem in result.problems if problem.row is not None]
        left_out = sum(
            int(note.split()[2]) for note in read.notes if "left out: " in note and "audio" in note
        )
        # Every file is a row, or one of those that the notes count.
        assert len(read) + left_out == files or table == "labels"
        # A row is good, or its problems are named.
        bad = Counter(problem.row for problem in faults)
        accepted = not result.problems
    except DataError:
        accepted, bad, read = False, Counter(), None
    if accepted:
        corpus = prepared(folder, here / "out")
        assert len(corpus) == len(read)
    else:
        with pytest.raises(DataError):
            prepared(folder, here / "out")
    if read is not None:
        assert len(bad) <= len(read)
    shutil.rmtree(here)
