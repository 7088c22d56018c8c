"""The least budget that the form tells is the one that the stage takes."""

from pathlib import Path

import pytest

from flows.speech.budget import budget_problems, check_search
from flows.speech.parsing import parse_parameters
from qsm_core.errors import ConfigurationError
from qsm_core.evaluation.scoring.renderings import plan_renderings
from qsm_core.prompting.search.blocks import deal_blocks
from qsm_core.prompting.search.budget import Budget
from qsm_core.prompting.search.dev_blocks import DevBlocks
from tests.support.corpora import make_corpus

VALUES = {"conditions": "dur_100ms, snr_0dB", "opro_candidates": 3, "opro_clips": 8, "opro_finalists": 2}


def test_form_manifest_and_stage_agree(tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path, dev=12)
    plan = plan_renderings(corpus, ["dur_100ms", "snr_0dB"], "dev")
    blocks = deal_blocks(plan, 8, seed=42)
    least = Budget(None, DevBlocks(plan, blocks, 1), 2).least(3)
    shown = rf"opro_budget = {least - 1}: the least is {least},"
    with pytest.raises(ConfigurationError, match=shown):
        parse_parameters({**VALUES, "dev_clips": 12, "opro_budget": least - 1})
    # The manifest says the same of clips whose number no parameter says.
    short, enough = (
        parse_parameters({**VALUES, "data": str(tmp_path), "opro_budget": budget})
        for budget in (least - 1, least)
    )
    assert budget_problems(short) == []
    with pytest.raises(ConfigurationError, match=shown):
        check_search(short, tmp_path)
    check_search(enough, tmp_path)
    Budget(least, DevBlocks(plan, blocks, 1), 2).check(3)
