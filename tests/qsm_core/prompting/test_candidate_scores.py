import json
import math

import numpy as np
import pandas as pd
import pytest

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.evaluation.predictions.table import validate
from qsm_core.prompting.candidate_scores import Measures, measure, score_of


def table(rows):
    """rows: (label, prediction, margin, condition, dimension)."""
    records = [
        {
            "system": "candidate",
            "instruction_digest": "d",
            "clip_id": f"c{i}",
            "group_id": f"g{i}",
            "label": label,
            "condition": condition,
            "dimension": dimension,
            "duration_ms": None,
            "snr_db": None,
            "t60_s": None,
            "band": None,
            "p_speech": 1 / (1 + math.exp(-margin)) if margin is not None else None,
            "margin": margin,
            "prediction": prediction,
            "raw_text": "",
            "parse_level": "",
        }
        for i, (label, prediction, margin, condition, dimension) in enumerate(rows)
    ]
    return validate(pd.DataFrame(records))


S, N = "SPEECH", "NONSPEECH"
ROWS = [
    (S, S, 2.0, "snr_0dB", "snr"),
    (S, N, -1.0, "snr_0dB", "snr"),
    (N, N, -3.0, "snr_0dB", "snr"),
    (S, S, 1.0, "filter_none", "filter"),
    (N, S, 0.5, "filter_none", "filter"),
    (N, None, -0.5, "filter_none", "filter"),
]


def test_measures_by_hand():
    measures = measure(table(ROWS))
    # SPEECH: 2 of 3 right; NONSPEECH: 1 of 3, the unreadable one is wrong
    assert measures.speech_acc == pytest.approx(2 / 3)
    assert measures.nonspeech_acc == pytest.approx(1 / 3)
    assert measures.ba_clip == pytest.approx(1 / 2)
    # snr: (1/2 + 1) / 2 = 0.75; filter: (1 + 0) / 2 = 0.5
    assert measures.ba_conditions == pytest.approx((0.75 + 0.5) / 2)
    assert measures.unparseable_rate == pytest.approx(1 / 6)
    assert measures.counts == {"snr_0dB": (2, 1, 1, 1), "filter_none": (1, 1, 2, 0)}
    # mean over the classes of the mean of ln(1 + e^-m) for SPEECH and ln(1 + e^m) for NONSPEECH
    speech = np.mean([math.log1p(math.exp(-m)) for m in (2.0, -1.0, 1.0)])
    nonspeech = np.mean([math.log1p(math.exp(m)) for m in (-3.0, 0.5, -0.5)])
    assert measures.log_loss == pytest.approx((speech + nonspeech) / 2)
    assert score_of("reward", measures) == pytest.approx(0.5 + 0.25 * 0.625)
    assert score_of("balanced_accuracy", measures) == pytest.approx(0.5)
    assert score_of("log_loss", measures) == pytest.approx(-measures.log_loss)
    assert Measures.from_json(json.loads(json.dumps(measures.to_json()))) == measures


def test_an_instruction_that_always_says_one_class_has_the_reward_of_guessing():
    rows = [(label, S, 1.0, key, dim) for label, _, _, key, dim in ROWS]
    assert score_of("reward", measure(table(rows))) == pytest.approx(0.625)


def test_clips_outside_of_the_grid_are_ranked_by_balanced_accuracy_over_clips():
    rows = [(label, p, m, "clean", None) for label, p, m, _, _ in ROWS]
    measures = measure(table(rows))
    assert measures.ba_conditions is None
    assert score_of("reward", measures) == pytest.approx(1.25 * 0.5)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(DataError, match="no nonspeech clip"):
        measure(table([ROWS[0], ROWS[1]]))
    with pytest.raises(DataError, match="filter_none has no nonspeech clip"):
        measure(table(ROWS[:4]))
    unscored = measure(table([(label, p, None, k, d) for label, p, _, k, d in ROWS]))
    assert unscored.log_loss is None
    with pytest.raises(ConfigurationError, match="open answers have no probability"):
        score_of("log_loss", unscored)
