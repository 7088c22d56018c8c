"""Sentences, notes and tables of the speech system as a reader sees them."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qsm_core.evaluation.analysis.replicates import TOO_NARROW
from qsm_core.reporting.speech import sections
from qsm_core.reporting.speech.abstract import abstract
from qsm_core.reporting.speech.caveats import caveats
from qsm_core.reporting.speech.clip_prompts import clip_prompts
from qsm_core.reporting.speech.tables import (
    comparisons_table,
    conditions_table,
    reference_of,
    results_table,
)
from qsm_core.reporting.speech.views.conditions import conditions_view
from qsm_core.reporting.speech.views.dev import candidates_view
from qsm_core.reporting.speech.views.systems import (
    comparisons_view,
    more_comparisons_view,
    results_view,
    thresholds_view,
)
from tests.support.analyses import SMALL, make_analysis, titles_of

MINUS = "\N{MINUS SIGN}"
METHODS = Path(__file__).parents[4] / "docs" / "methods.md"


def test_the_abstract_tells_numbers_with_intervals() -> None:
    sentences = abstract(make_analysis(4), titles_of(4))
    assert sentences == [
        "4 systems answered for the same 970 test clips from 312 groups (speakers or source "
        "recordings) in 22 conditions each, 21,340 answers a system.",
        "LoRA + OPRO has a balanced accuracy over clips of 95.0 [92.0, 97.4] % (the highest of "
        "4), with a recall of speech of 93.0 [88.0, 97.0] % and of non-speech of 97.0 [94.0, 99.4] "
        "%.",
        "Against Base that is a difference of +30.0 [+26.0, +33.2] points (corrected p = 0.001); "
        "the verdicts on the 3 paired differences are \N{LEFT DOUBLE QUOTATION MARK}better"
        "\N{RIGHT DOUBLE QUOTATION MARK} 3 times (interval of 95 %, p corrected by Holm's method "
        "within a family).",
        "At any threshold: the AUROC of LoRA + OPRO is 0.990 [0.980, 0.998] and its d\N{PRIME} "
        "2.00 [1.80, 2.16], those of Base 0.690 [0.680, 0.698] and 0.80 [0.60, 0.96].",
        "Where the fitted curves of LoRA + OPRO reach 75 %: DT75 41.2 [33.0, 47.8] ms, SNR75 "
        f"{MINUS}13.8 [{MINUS}16.5, {MINUS}11.6] dB; of its 22 conditions dur_20ms has the lowest "
        "balanced accuracy, 53.9 [49.9, 57.1] % (chance: 50 %).",
    ]


def test_the_abstract_of_one_system() -> None:
    sentences = abstract(make_analysis(1, SMALL), titles_of(1))
    assert sentences[0].startswith("One system answered for the same 970 test clips")
    assert "the highest of" not in sentences[1]
    assert sentences[2] == "There is no second system, so no difference is reported."
    assert len(sentences) == 5


def test_the_abstract_without_scores_or_numbers() -> None:
    analysis = make_analysis(2)
    systems = analysis.systems.copy()
    systems.loc[systems["metric"] == "auroc", ["value", "low", "high"]] = np.nan
    sentences = abstract(replace(analysis, systems=systems), titles_of(2))
    assert sentences[3].startswith(
        "LoRA gives no score with its answers, so its AUROC is not defined"
    )
    systems["value"] = np.nan
    sentences = abstract(replace(analysis, systems=systems), titles_of(2))
    assert sentences[1:] == ["No balanced accuracy is defined for these clips."]


def test_no_sentence_praises() -> None:
    words = re.findall(r"[a-z]+", " ".join(abstract(make_analysis(4), titles_of(4))).lower())
    praise = {"good", "great", "significant", "significantly", "strong", "robust", "excellent"}
    assert not praise & set(words)


def test_the_reference_is_what_most_are_compared_with() -> None:
    analysis = make_analysis(4)
    assert reference_of(analysis) == "s0"
    assert reference_of(make_analysis(1)) is None
    table = results_table(analysis, titles_of(4)).set_index("system")
    assert table.loc["s3", "difference"] == pytest.approx(0.3)
    assert pd.isna(table.loc["s0", "difference"])


def test_unread_answers_are_a_caveat() -> None:
    analysis = make_analysis(1)
    systems = analysis.systems.copy()
    systems.loc[systems["metric"] == "unparseable_rate", "value"] = 0.05
    sentences = caveats(replace(analysis, systems=systems), titles_of(1), None)
    assert (
        sentences[0]
        == "Base: 5.0 % of the answers could not be read as a label. They count as errors."
    )
    assert "dur_1000ms, filter_none, reverb_none hold the same unchanged clips" in sentences[1]


def test_comparisons_show_both_tests_and_the_verdict() -> None:
    analysis = make_analysis(3)
    view = comparisons_view(comparisons_table(analysis, titles_of(3)), analysis)
    row = view.records()[1]
    assert row["Comparison"] == "Base + OPRO against Base"
    assert row["Change, clips"] == "+26.7 [+22.7, +29.9]"
    assert (row["p (sign flip)"], row["p, Holm"], row["Verdict"]) == ("< 0.001", "0.001", "better")
    assert row["Smallest detectable"] == "5.6"
    more = more_comparisons_view(comparisons_table(analysis, titles_of(3))).records()[1]
    assert (more["p (Obuchowski)"], more["p, Benjamini-Hochberg"]) == ("< 0.001", "< 0.001")
    assert (more["Rows gained"], more["Rows lost"]) == ("2,520", "120")
    assert view.notes == ()


def test_what_no_answer_could_decide_is_reported() -> None:
    # 5 groups differ: p is 2 / 2^5 = 0.0625 at best, above 0.05 whatever the systems are.
    analysis = make_analysis(2)
    pairs = analysis.comparisons.assign(
        groups_differ=5.0, smallest_p=0.0625, smallest_p_holm=0.0625, verdict="undecided"
    )
    few = replace(analysis, comparisons=pairs)
    (note,) = comparisons_view(comparisons_table(few, titles_of(2)), few).notes
    assert note.startswith("LoRA against Base: the two differ in 5 groups only, so p cannot")
    assert "no corrected p can be below 0.062" in abstract(few, titles_of(2))[2]


def test_an_interval_without_zero_beside_a_large_p_is_explained() -> None:
    # 7 voices: p is 2 / 2^7 = 0.0156 at best.
    analysis = make_analysis(2)
    pairs = analysis.comparisons.assign(
        p_holm=0.068, smallest_p_holm=0.001, carried_by="SPEECH", carrying_groups=7.0
    )
    few = replace(analysis, comparisons=pairs)
    (note,) = comparisons_view(comparisons_table(few, titles_of(2)), few).notes
    assert "comes from 7 groups of SPEECH; with these alone p is at best 0.016" in note


def test_one_note_names_all_comparisons_that_it_is_about() -> None:
    analysis = make_analysis(3)
    pairs = analysis.comparisons.assign(
        p_holm=0.06, smallest_p_holm=0.001, carried_by="SPEECH", carrying_groups=7.0
    )
    few = replace(analysis, comparisons=pairs)
    (note,) = comparisons_view(comparisons_table(few, titles_of(3)), few).notes
    assert note.startswith("LoRA against Base; Base + OPRO against Base: the interval leaves out")


def test_intervals_that_are_too_narrow_are_named_where_they_stand() -> None:
    analysis, titles = make_analysis(2), titles_of(2)
    narrow = {
        name: table.assign(note=np.where(table[key] == "s1", f"rough; {TOO_NARROW}", None))
        for name, key, table in (
            ("systems", "system", analysis.systems),
            ("conditions", "system", analysis.conditions),
            ("comparisons", "second", analysis.comparisons),
        )
    }
    made = replace(analysis, **narrow)
    results = results_view(results_table(made, titles), made, titles)
    (note,) = results.notes
    assert note.startswith("LoRA (balanced accuracy over clips, over conditions, recall of speech")
    assert note.endswith(TOO_NARROW)
    assert "LoRA against Base (" in comparisons_view(comparisons_table(made, titles), made).notes[0]
    view = conditions_view(conditions_table(made), made, titles)
    assert all(row["LoRA"].endswith("]\N{DAGGER}") for row in view.records())
    assert not any("\N{DAGGER}" in row["Base"] for row in view.records())
    assert view.notes == (f"\N{DAGGER} The interval {TOO_NARROW}.",)
    # Above the table stand only the notes that are about all of its intervals.
    assert [shown for shown in caveats(made, titles, None) if "rough" in shown] == [
        "Intervals rest on rough."
    ]
    assert not any(TOO_NARROW in shown for shown in caveats(made, titles, None))


def test_missing_intervals_of_conditions_are_explained() -> None:
    analysis, titles = make_analysis(2), titles_of(2)
    table = analysis.conditions
    reasons = np.where(
        table["condition"] == "dur_1000ms", "every resample gives 1: none differ", None
    )
    made = replace(analysis, conditions=table.assign(reason=reasons))
    view = conditions_view(conditions_table(made), made, titles)
    assert view.notes == ("Where there is no interval: every resample gives the same value.",)
    assert conditions_view(conditions_table(analysis), analysis, titles).notes == ()


def test_each_set_of_clips_has_a_reference_of_its_own() -> None:
    analysis = make_analysis(4)  # each with the first
    pairs = analysis.comparisons
    moved = pairs["second"] == "s3"
    pairs = pairs.assign(first=np.where(moved, "s2", pairs["first"]))
    pairs = pairs[pairs["second"] != "s2"]
    two = replace(analysis, comparisons=pairs)
    results = results_table(two, titles_of(4)).set_index("system")
    assert results["reference"].to_dict() == {
        "s0": "s0",
        "s1": "s0",
        "s2": "s2",
        "s3": "s2",
    }
    assert results["difference"].notna().to_list() == [False, True, False, True]
    caption = results_view(results.reset_index(), two, titles_of(4)).caption
    assert caption.endswith("the difference is that to Base or Base + OPRO on the same clips")


def test_systems_with_the_same_answers() -> None:
    analysis = make_analysis(2)
    pairs = analysis.comparisons.assign(smallest_p_holm=1.0, verdict="same answers")
    same = replace(analysis, comparisons=pairs)
    sentences = abstract(same, titles_of(2))[2]
    assert (
        "the verdict on the one paired difference is \N{LEFT DOUBLE QUOTATION MARK}same"
        in sentences
    )
    assert comparisons_view(comparisons_table(same, titles_of(2)), same).notes == ()


def test_thresholds_that_are_chance_everywhere_have_no_column() -> None:
    view = thresholds_view(make_analysis(2).thresholds, titles_of(2), "balanced accuracy")
    assert view.headers == ("System", "DT75 (ms)", "DT90 (ms)", "SNR75 (dB)")
    assert view.rows[1][2] == "49.5 [39.6, 57.4]"


def test_candidates_keep_their_order_and_are_capped() -> None:
    table = pd.DataFrame({"number": range(250), "iteration": 0, "instruction": "t", "score": 0.5})
    table["best_so_far"] = table["score"]
    view = candidates_view("Base", table)
    assert len(view.rows) == 200
    assert view.notes == ("50 more are in the CSV file.",)
    assert view.rows[7][0] == "7"


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        ({"n_samples": 1320}, 1320),
        ({"clips_per_candidate": 132, "num_candidates": 33}, 4356),
        ({"clip_prompts": 7, "n_samples": 1320}, 7),
        ({"steps": 3}, math.nan),
    ],
)
def test_clip_prompts(summary: dict[str, Any], expected: float) -> None:
    assert clip_prompts(summary) == pytest.approx(expected, nan_ok=True)


def test_definitions_refer_to_sections_that_exist() -> None:
    folder = Path(sections.__file__).parent
    content = json.loads((folder / "definitions.json").read_text(encoding="utf-8"))
    headings = set(re.findall(r"^#+ (.+)$", METHODS.read_text(encoding="utf-8"), re.MULTILINE))
    named = {found[1] for text in content.values() if (found := re.search(r"\(([^()]+)\)$", text))}
    assert len(named) >= 5
    assert named <= headings
