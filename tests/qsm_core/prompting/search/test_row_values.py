import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from qsm_core.evaluation.predictions.table import validate
from qsm_core.prompting.candidate_scores import measure, score_of
from qsm_core.prompting.search.row_values import (
    Answers,
    Rows,
    mean_of,
    race_values,
    values_of,
)

GRID = [("snr_0dB", "snr"), ("snr_5dB", "snr"), ("filter_none", "filter"), ("clean", None)]


def make_table(rng, conditions):
    """Answers of one system to clips of both classes in unequal numbers, with ties."""
    records = []
    for clip in range(int(rng.integers(2, 9)) + 2):
        label = ("SPEECH", "NONSPEECH")[clip % 2]
        for key, dimension in conditions:
            margin = float(np.round(rng.normal(0.5 if label == "SPEECH" else -0.5), 1))
            unread = rng.random() < 0.1
            records.append(
                {
                    "system": "candidate",
                    "instruction_digest": "d",
                    "clip_id": f"c{clip}",
                    "group_id": f"g{clip // 2}",
                    "label": label,
                    "condition": key,
                    "dimension": dimension,
                    "duration_ms": None,
                    "snr_db": None,
                    "t60_s": None,
                    "band": None,
                    "p_speech": 1 / (1 + np.exp(-margin)),
                    "margin": margin,
                    "prediction": None if unread else ("NONSPEECH", "SPEECH")[margin > 0],
                    "raw_text": "",
                    "parse_level": "",
                }
            )
    return validate(pd.DataFrame(records))


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 4), plain=st.booleans())
def test_the_mean_of_the_values_is_the_score(seed, count, plain):
    rng = np.random.default_rng(seed)
    table = make_table(rng, GRID[3:] if plain else GRID[:count])
    rows, answers, measures = Rows.of(table), Answers.of(table), measure(table)
    for objective in ("reward", "balanced_accuracy", "log_loss", "auroc"):
        values = values_of(objective, rows, answers)
        assert mean_of(rows, values) == pytest.approx(score_of(objective, measures)), objective
        if objective == "auroc":  # DeLong's components: either class alone has the area as mean
            assert values[rows.is_speech].mean() == pytest.approx(measures.auroc)


def test_an_answer_that_cannot_be_read_is_wrong():
    table = make_table(np.random.default_rng(0), GRID[:1])
    table.loc[0, "prediction"] = None
    assert not Answers.of(table).correct[0]


def test_a_race_smooths_right_answers_by_their_margin():
    nothing = np.zeros(6, dtype=np.int64)
    is_speech = np.array([True, True, True, False, False, False])
    rows = Rows(is_speech, np.arange(6), nothing, nothing)
    margin = np.array([3.0, 0.1, -3.0, -0.1, np.nan, 2.0])
    # The last but one has no margin; the last one's answer is not what its margin says.
    answers = Answers(np.array([True, True, False, True, False, True]), margin)
    values = race_values("balanced_accuracy", rows, answers)
    spread = np.sqrt((2 * 9 + 2 * 0.01 + 4) / 5)
    hair = ndtr(0.1 / (0.15 * spread))
    assert values == pytest.approx([1.0, hair, 0.0, hair, 0.0, 1.0], abs=1e-9)
