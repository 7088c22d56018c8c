"""The published predictions of four real systems give their published balanced accuracies."""

import json
import time

import pytest

from qsm_core.evaluation.comparison import compare
from qsm_core.evaluation.intervals import metrics_with_intervals
from qsm_core.evaluation.metrics import compute_metrics
from qsm_core.evaluation.settings import BootstrapSettings
from tests.support.published import SYSTEMS, published_folder, read_published


@pytest.mark.parametrize("system", SYSTEMS)
def test_balanced_accuracy_over_clips(system: str) -> None:
    metrics = compute_metrics(read_published(system))
    assert round(100 * metrics.ba_clip, 2) == SYSTEMS[system]
    assert (metrics.n_samples, metrics.n_speech, metrics.n_clips) == (21_340, 10_670, 970)
    assert len(metrics.condition_metrics) == 22


def test_dimensions_of_the_best_system() -> None:
    metrics = compute_metrics(read_published("lora_opro_template_seed42"))
    rounded = {key: round(100 * one.ba, 1) for key, one in metrics.dimension_metrics.items()}
    assert rounded == {"duration": 87.4, "snr": 97.4, "reverb": 96.1, "filter": 96.2}


def test_interval_by_clip_is_the_published_one() -> None:
    # The published intervals resample base clips; ours resample speakers and recordings. With
    # each clip as its own group the same interval has to come out.
    published = json.loads((published_folder() / "statistical_analysis.json").read_text())
    low, high = published["config_metrics"]["qwen3_baseline"]["ba_clip_ci"]
    table = read_published("qwen3_baseline")
    by_clip = metrics_with_intervals(table.assign(group_id=table["clip_id"])).intervals["ba_clip"]
    assert by_clip.low == pytest.approx(low, abs=0.001)
    assert by_clip.high == pytest.approx(high, abs=0.001)


def test_ten_thousand_resamples_of_four_systems_take_seconds() -> None:
    tables = {name: read_published(name) for name in SYSTEMS}
    names = list(tables)
    pairs = [(names[0], name) for name in names[1:]]
    start = time.perf_counter()
    made = compare(tables, pairs, settings=BootstrapSettings(num_resamples=10_000))
    assert time.perf_counter() - start < 30  # about 0.5 s on an idle machine
    by_name = {one.second: one for one in made}
    lora = by_name["lora_opro_template_seed42"]
    assert 100 * lora.ba_clip.value == pytest.approx(93.29 - 75.08, abs=0.01)
    assert lora.ba_clip.interval.low > 0.15
    assert lora.ba_clip.p_holm < 0.001
