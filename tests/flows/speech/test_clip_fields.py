"""Fields that would change nothing are refused, and rendered clips before anything runs."""

from __future__ import annotations

import pytest

from flows.speech.clip_fields import check_tables
from flows.speech.configs import clips_of
from flows.speech.parsing import parse_parameters
from qsm_core.errors import ConfigurationError


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (
            {"data": "clips", "test_clips": 10},
            "test_clips = 10: is of the synthetic corpus, .*give limit",
        ),
        ({"test_data": "clips", "test_clips": 10}, "test_clips = 10: .* test_data replaces"),
        ({"limit": 10}, "limit = 10: chooses among clips of your own, but data is empty"),
        ({"headroom_db": 3.0}, "headroom_db = 3.0: chooses"),
    ],
)
def test_fields_without_meaning(values, problem):
    with pytest.raises(ConfigurationError, match=problem):
        parse_parameters(values)


def test_the_choice_of_clips_reaches_the_preparation():
    parameters = parse_parameters({"data": "clips", "limit": 10, "min_snr_db": 0.0})
    assert parameters.test_clips is None
    selection = clips_of(parameters, None).preparation.selection
    assert (selection.limit, selection.min_snr_db, selection.balance_classes) == (10, 0.0, False)


@pytest.mark.parametrize(
    "header",
    [
        "clip_id,group_id,path,label,source,condition\na,a,a.wav,SPEECH,s,snr_0dB\n",
        "clip_id,duration_ms,snr_db,audio_path,ground_truth\n",
    ],
)
def test_rendered_clips_need_the_conditions_as_recorded(tmp_path, header):
    file = tmp_path / "train_metadata.csv"
    file.write_text(header)
    with pytest.raises(ConfigurationError, match=r"data = .* give --conditions as_recorded"):
        check_tables(parse_parameters({"data": str(file)}))
    check_tables(parse_parameters({"data": str(file), "conditions": "as_recorded"}))
