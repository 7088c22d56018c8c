"""The content of a report before it is arranged on a page: the tables by name, and the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from qsm_core.evaluation.instruction_gains.tables import GAINS, TRANSFER
from qsm_core.reporting.page.drawings import ReportFigure
from qsm_core.reporting.page.exports import ReportTable
from qsm_core.reporting.page.table_view import frame_view
from qsm_core.reporting.speech.gallery import MEASURE
from qsm_core.reporting.speech.hardest_clips import HardClip
from qsm_core.reporting.speech.sources import Sources
from qsm_core.reporting.speech.tables import (
    calibration_table,
    comparisons_table,
    conditions_table,
    dimension_means,
    overall_confusion,
    results_table,
    thresholds_table,
)
from qsm_core.reporting.speech.views.conditions import (
    condition_differences_view,
    conditions_view,
    confusion_view,
)
from qsm_core.reporting.speech.views.dev import (
    candidates_view,
    gaps_view,
    instructions_view,
    operating_points_view,
)
from qsm_core.reporting.speech.views.prompts import controls_view, gains_view, transfer_view
from qsm_core.reporting.speech.views.sources import (
    ensembles_view,
    seeds_view,
    sizes_view,
    variance_view,
)
from qsm_core.reporting.speech.views.systems import (
    calibration_view,
    comparisons_view,
    more_comparisons_view,
    results_view,
    threshold_differences_view,
    thresholds_view,
)

_CLIP_HEADERS = {
    "clip_id": "Clip",
    "group_id": "Group",
    "label": "Class",
    "rows": "Answers",
    "correct": "Right",
    "share_correct": "Share right",
    "worst_condition": "Hardest in",
}
_CLIPS_SHOWN = 50
# Prefixes of the tables of a search, followed by the name of its model.
CONTROLS_OF, CANDIDATES_OF = "controls_opro_", "candidates_opro_"


@dataclass(frozen=True)
class ReportContent:
    """Everything that the page is made from, except the run card."""

    sources: Sources
    tables: Mapping[str, ReportTable]
    figures: Mapping[str, ReportFigure]
    hardest: Sequence[HardClip]


def report_tables(sources: Sources) -> dict[str, ReportTable]:
    """Return the tables of a report by name: numbers, and what a reader sees."""
    return {
        **_of_systems(sources),
        **_of_conditions(sources),
        **_of_dev(sources),
        **_of_prompts(sources),
        **_of_sources(sources),
    }


def _of_systems(sources: Sources) -> dict[str, ReportTable]:
    analysis, titles = sources.analysis, sources.titles
    results = results_table(analysis, titles)
    comparisons = comparisons_table(analysis, titles)
    thresholds = thresholds_table(analysis, titles)
    differences = analysis.threshold_differences
    calibration = calibration_table(analysis, titles)
    return {
        "results": ReportTable(results, results_view(results, analysis, titles)),
        "comparisons": ReportTable(comparisons, comparisons_view(comparisons, analysis)),
        "comparisons_more": ReportTable(comparisons, more_comparisons_view(comparisons)),
        "thresholds": ReportTable(thresholds, thresholds_view(thresholds, titles, MEASURE)),
        "thresholds_of_recall": ReportTable(
            thresholds[thresholds["measure"] == "speech recall"],
            thresholds_view(thresholds, titles, "speech recall"),
        ),
        "threshold_differences": ReportTable(
            differences, threshold_differences_view(differences, titles)
        ),
        "calibration": ReportTable(calibration, calibration_view(calibration)),
        "instructions": ReportTable(
            pd.DataFrame(
                [pair for pair in sources.instructions.items() if pair[1]],
                columns=["system", "instruction"],
            ),
            instructions_view(results, sources.instructions),
        ),
    }


def _of_conditions(sources: Sources) -> dict[str, ReportTable]:
    analysis, titles = sources.analysis, sources.titles
    conditions = conditions_table(analysis)
    single = conditions[conditions["condition"] != conditions["dimension"]]
    confusion = overall_confusion(analysis, titles)
    compared = analysis.condition_comparisons
    clips = analysis.clips
    caption = f"The {min(_CLIPS_SHOWN, len(clips))} clips with the most wrong answers"
    return {
        "conditions": ReportTable(single, conditions_view(single, analysis, titles)),
        "dimensions": ReportTable(dimension_means(analysis)),
        "condition_differences": ReportTable(
            compared, condition_differences_view(compared, titles) if len(compared) else None
        ),
        "confusion": ReportTable(confusion, confusion_view(confusion)),
        "confusion_by_condition": ReportTable(analysis.confusion),
        "curve_points": ReportTable(analysis.curve_points),
        "curve_fits": ReportTable(analysis.curve_fits),
        "clips": ReportTable(clips, frame_view(caption, clips.head(_CLIPS_SHOWN), _CLIP_HEADERS)),
    }


def _of_dev(sources: Sources) -> dict[str, ReportTable]:
    """Return what was chosen on dev, and how it holds on test."""
    analysis, titles = sources.analysis, sources.titles
    calibrated = analysis.operating_points
    return {
        "operating_points": ReportTable(calibrated, operating_points_view(calibrated, titles)),
        "gaps": ReportTable(analysis.gaps, gaps_view(analysis.gaps, titles)),
        "seeds": ReportTable(analysis.seeds),
        "seed_summary": ReportTable(analysis.seed_summary, seeds_view(analysis.seed_summary)),
        "ensembles": ReportTable(analysis.ensembles, ensembles_view(analysis.ensembles, titles)),
        "variance": ReportTable(analysis.variance, variance_view(analysis.variance)),
    }


def _of_prompts(sources: Sources) -> dict[str, ReportTable]:
    """Return the gains of the searches for instructions."""
    tables = {
        f"{CONTROLS_OF}{search.model}": ReportTable(
            search.controls, controls_view(search.title, search.controls)
        )
        for search in sources.searches
        if search.controls is not None
    }
    if sources.prompts is None:
        return tables
    gains, transfer = sources.prompts.gains, sources.prompts.transfer
    return tables | {
        GAINS: ReportTable(gains, gains_view(gains)),
        TRANSFER: ReportTable(transfer, transfer_view(transfer)),
    }


def _of_sources(sources: Sources) -> dict[str, ReportTable]:
    """Return the tables of the searches, the trainings and the clips."""
    tables = {
        f"{CANDIDATES_OF}{search.model}": ReportTable(
            search.candidates, candidates_view(search.title, search.candidates)
        )
        for search in sources.searches
    }
    tables |= {
        f"training_log_train_{training.model}": ReportTable(training.log)
        for training in sources.trainings
    }
    if sources.corpus is not None:
        sizes = sources.corpus.sizes
        tables["clips_by_split"] = ReportTable(sizes, sizes_view(sizes))
        data = sources.corpus.origins()
        headers = {"source": "Source", "clips": "Clips", "groups": "Groups", "licences": "Licences"}
        tables["data"] = ReportTable(
            data, frame_view("Where the clips come from", data, headers) if len(data) else None
        )
    return tables
