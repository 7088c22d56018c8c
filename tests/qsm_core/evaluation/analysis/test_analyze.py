"""The stage analyze: its tables against the simple functions, its files, what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.evaluation.analysis.analyze import analyze, run
from qsm_core.evaluation.analysis.bootstrap_settings import BootstrapSettings
from qsm_core.evaluation.analysis.metrics import compute_metrics
from qsm_core.evaluation.analysis.settings import AnalysisSettings, Pair
from qsm_core.evaluation.analysis.tables import COLUMNS, read_analysis
from qsm_core.evaluation.ensembles.mean_margin import mean_margin
from qsm_core.evaluation.predictions.table import write_predictions
from qsm_core.stage.context import StageContext
from qsm_core.statistics.mcnemar import mcnemar_exact
from tests.support.fresh_process import run_python
from tests.support.predictions import GRID, Listener, make_predictions, one_clip_per_group
from tests.support.stages import stage_context

QUICK = AnalysisSettings(bootstrap=BootstrapSettings(num_resamples=300, seed=1))
SOME = tuple(cell for cell in GRID if cell[1] in ("duration", "snr"))


@pytest.fixture(scope="module")
def tables():
    listeners = (
        Listener("base", skill=2.0, bias=-1.2, unparseable=0.02),
        Listener("lora", skill=2.2),
        Listener("base_opro", skill=2.0),
        Listener("lora_seed43", skill=2.3),
        Listener("vad", skill=2.1, has_scores=False),
    )
    made = {one.system: make_predictions(one, groups_per_class=15, grid=SOME) for one in listeners}
    return _with_ensemble(made)


@pytest.fixture(scope="module")
def dev():
    listeners = (
        Listener("base", skill=2.0, bias=-1.2),
        Listener("base_opro", skill=2.0),
        Listener("lora", skill=2.4),
        Listener("lora_seed43", skill=2.0),
    )
    made = {
        one.system: make_predictions(one, groups_per_class=10, grid=SOME, seed=9)
        for one in listeners
    }
    return _with_ensemble(made)


def _with_ensemble(tables):
    members = {name: tables[name] for name in ("lora", "lora_seed43")}
    return tables | {"lora_ensemble": mean_margin("lora_ensemble", members)}


@pytest.fixture(scope="module")
def analysis(tables, dev):
    return analyze(tables, dev=dev, settings=QUICK)


def _value(table: pd.DataFrame, **where) -> pd.Series:
    for name, wanted in where.items():
        table = table[table[name] == wanted]
    assert len(table) == 1, where
    return table.iloc[0]


def test_all_tables_have_their_columns(analysis) -> None:
    for name, table in analysis.tables().items():
        assert list(table.columns) == list(COLUMNS[name])
        assert len(table) > 0, name
    assert analysis.order[:5] == ("base", "lora", "base_opro", "lora_seed43", "vad")
    assert analysis.order[5:7] == ("lora_ensemble", "base@dev")


def test_values_are_those_of_the_metrics(analysis, tables) -> None:
    for system, table in tables.items():
        metrics = compute_metrics(table)
        for name in ("ba_clip", "ba_conditions", "speech_acc", "nonspeech_acc"):
            row = _value(analysis.systems, system=system, metric=name)
            assert row["value"] == pytest.approx(getattr(metrics, name))
            assert row["low"] < row["value"] < row["high"]
        for key, condition in metrics.condition_metrics.items():
            row = _value(analysis.conditions, system=system, condition=key, metric="ba")
            assert row["value"] == pytest.approx(condition.ba)


def test_auroc_is_that_of_scikit_learn(analysis, tables) -> None:
    table = tables["lora"]
    expected = roc_auc_score(table["label"] == "SPEECH", table["margin"])
    row = _value(analysis.systems, system="lora", metric="auroc")
    assert row["value"] == pytest.approx(expected)
    assert row["low"] < expected < row["high"]
    without = _value(analysis.systems, system="vad", metric="auroc")
    assert (np.isnan(without["value"]), without["reason"]) == (True, "the system gives no score")


def test_a_better_threshold_is_not_a_better_ear(analysis) -> None:
    # base leans to NONSPEECH, base_opro is as good an ear without the lean. Its gain in balanced
    # accuracy is one of the criterion: the same threshold comes free with calibration.
    gained = _value(analysis.comparisons, first="base", second="base_opro", metric="ba_clip")
    heard = _value(analysis.comparisons, first="base", second="base_opro", metric="auroc")
    moved = _value(analysis.comparisons, first="base", second="base_opro", metric="criterion")
    free = _value(analysis.comparisons, first="base@dev", second="base_opro", metric="ba_clip")
    assert gained["verdict"] == "better"
    assert heard["verdict"] != "better"
    assert moved["high"] < -0.3
    assert abs(free["value"]) < gained["value"] / 2
    assert free["verdict"] != "better"
    assert free["family"] == "calibrated baseline"
    point = _value(analysis.operating_points, system="base@dev")
    assert point["threshold"] < -0.3
    assert point["dev_ba_clip_calibrated"] > point["dev_ba_clip"]


def test_families_are_corrected_apart(tables) -> None:
    pairs = (
        Pair("base", "lora", "tuning"),
        Pair("base", "lora_seed43", "tuning"),
        Pair("base", "base_opro", "prompt"),
    )
    made = analyze(tables, settings=replace(QUICK, pairs=pairs)).comparisons
    rows = made[made["metric"] == "ba_clip"].reset_index(drop=True)
    smallest = rows["p_value"][:2].min()
    assert rows["p_holm"][:2].min() == pytest.approx(2 * smallest)
    assert rows["p_holm"][2] == rows["p_value"][2]
    # The detectable effect of a family of two is larger than that of one, per standard error.
    ratio = rows["minimum_detectable"] / rows["standard_error"]
    # t(1 - 0.05 / 4) + t(0.8) with the degrees of freedom of each; with endless ones 3.083, 2.802.
    for row, share in ((0, 0.9875), (2, 0.975)):
        expected = stats.t.ppf([share, 0.8], rows["degrees"][row]).sum()
        assert ratio[row] == pytest.approx(expected)
    assert 15 < rows["degrees"][0] < 30


def test_mcnemar_only_for_independent_rows(analysis) -> None:
    assert analysis.comparisons["p_mcnemar"].isna().all()
    single = {
        name: one_clip_per_group(Listener(name, skill=s), num_clips=60)
        for name, s in (("a", 0.3), ("b", 0.9))
    }
    row = _value(analyze(single, settings=QUICK).comparisons, metric="ba_clip")
    expected = mcnemar_exact(*[t["prediction"] == t["label"] for t in single.values()])
    assert row["p_mcnemar"] == pytest.approx(expected.p_value)
    assert (row["only_first"], row["only_second"]) == (expected.only_first, expected.only_second)
    assert row["p_obuchowski"] == pytest.approx(row["p_mcnemar"], abs=0.03)


def test_conditions_of_a_pair_are_one_family(analysis) -> None:
    rows = analysis.condition_comparisons
    rows = rows[(rows["first"] == "base") & (rows["second"] == "lora")]
    assert len(rows) == 14
    assert rows["p_holm"].min() == pytest.approx(min(1, 14 * rows["p_value"].min()))
    assert (rows["p_bh"] <= rows["p_holm"] + 1e-12).all()
    assert rows["level"].tolist()[:8] == [20, 40, 60, 80, 100, 200, 500, 1000]


def test_curves_and_thresholds(analysis) -> None:
    found = _value(
        analysis.thresholds, system="lora", threshold="DT90", measure="balanced accuracy"
    )
    # Listener: BA = Phi(skill - difficulty), group effects apart; 0.9 at a difficulty of
    # 2.2 - 1.282 = 0.918, and the difficulty is 0.45 log2(200 / ms): 49 ms, later
    # since groups differ, so that the mean curve is flatter.
    assert found["outcome"] == "reached"
    assert found["value"] == pytest.approx(49, rel=0.5)
    assert found["low"] < found["value"] < found["high"]
    chance = _value(
        analysis.thresholds, system="lora", threshold="DT50", measure="balanced accuracy"
    )
    assert (chance["outcome"], chance["reason"]) == ("undefined", "the target is chance")
    band = analysis.curve_bands
    assert ((band["low"] <= band["fit"] + 1e-6) & (band["fit"] <= band["high"] + 1e-6)).mean() > 0.9
    better = _value(
        analysis.threshold_differences,
        first="base",
        second="lora",
        threshold="DT75",
        measure="balanced accuracy",
    )
    assert np.isnan(better["value"]) or better["value"] < 0


def test_durations_crossed_with_snrs_have_a_curve_along_each() -> None:
    tables = []
    for duration_ms in (20.0, 100.0, 200.0, 1000.0):
        for snr_db in (-10.0, 0.0, 20.0):
            made = make_predictions(Listener("a", skill=2.0), groups_per_class=4, grid=SOME[:1])
            made = made[made["condition"] == made["condition"].iloc[0]]
            key = f"dur_{duration_ms:g}ms+snr_{snr_db:g}dB"
            tables.append(
                made.assign(
                    condition=key, dimension="crossed", duration_ms=duration_ms, snr_db=snr_db
                )
            )
    made = analyze({"a": pd.concat(tables, ignore_index=True)}, settings=QUICK)
    places = set(made.curve_points["dimension"])
    assert places == {
        *("duration at snr_-10dB", "duration at snr_0dB", "duration at snr_20dB"),
        *(f"snr at dur_{ms}ms" for ms in (20, 100, 200, 1000)),
    }
    assert "DT75 at snr_0dB" in set(made.thresholds["threshold"])
    assert not made.thresholds.duplicated(["system", "threshold", "measure"]).any()
    assert np.isfinite(_value(made.systems, metric="ba_conditions")["value"])
    order = made.conditions.loc[made.conditions["metric"] == "ba", "condition"].tolist()
    assert order[1:4] == ["dur_20ms+snr_-10dB", "dur_20ms+snr_0dB", "dur_20ms+snr_20dB"]


def test_confusion_adds_up(analysis, tables) -> None:
    rows = analysis.confusion[analysis.confusion["condition"] == "all"]
    base = rows[rows["system"] == "base"]
    assert base["rows"].sum() == len(tables["base"])
    unread = base[base["answer"] == "unreadable"]["rows"].sum()
    assert unread == tables["base"]["prediction"].isna().sum() > 0
    shares = analysis.confusion.groupby(["system", "condition", "label"])["share"].sum()
    np.testing.assert_allclose(shares, 1)


def test_calibration_improves_by_temperature(analysis) -> None:
    # The listeners' margins have unit noise, a logistic's is 1.8 times as wide: T below 1.
    row = _value(analysis.calibration, system="base_opro", metric="temperature")
    assert 0.2 < row["value"] < 0.9
    raw, scaled = (
        _value(analysis.calibration, system="base_opro", variant=v, metric="log_loss")["value"]
        for v in ("raw", "temperature")
    )
    assert scaled < raw
    assert not (analysis.calibration["system"] == "vad").any()


def test_gap_between_dev_and_test(analysis) -> None:
    row = _value(analysis.gaps, system="base_opro", what="ba_clip")
    assert row["value"] == pytest.approx(row["test"] - row["dev"])
    assert row["low"] < row["value"] < row["high"]
    gain = _value(analysis.gaps, system="base_opro", what="gain")
    assert gain["value"] == pytest.approx(gain["test"] - gain["dev"])


def test_seeds_and_shares_of_variance(analysis) -> None:
    row = _value(analysis.seed_summary, family="lora", metric="ba_clip")
    values = analysis.seeds["ba_clip"]
    assert row["seeds"] == 2
    assert row["mean"] == pytest.approx(values.mean())
    assert row["spread"] == pytest.approx(values.std(ddof=1))
    assert row["low"] < row["mean"] < row["high"]
    assert row["seeds_low"] < row["low"]
    assert row["seeds_high"] > row["high"]
    assert "lora_ensemble" not in set(analysis.seeds["system"])
    shares = analysis.variance[analysis.variance["family"] == "lora"].set_index("source")["share"]
    assert shares[["clips", "seeds"]].sum() == pytest.approx(1)
    assert np.isnan(shares["prompts"])
    prompts = analysis.variance[analysis.variance["family"] == "base"].set_index("source")
    assert prompts.loc["prompts", "share"] > 0.3


def test_an_ensemble_is_measured_against_the_member_that_is_best_on_dev(
    analysis, tables, dev
) -> None:
    (row,) = analysis.ensembles.to_dict("records")
    on_dev = {name: compute_metrics(dev[name]).ba_clip for name in ("lora", "lora_seed43")}
    on_test = {name: compute_metrics(tables[name]).ba_clip for name in on_dev}
    # Chosen on dev although the other one is better on test.
    assert on_dev["lora"] > on_dev["lora_seed43"]
    assert (row["system"], row["members"], row["best_member"]) == ("lora_ensemble", 2, "lora")
    assert row["dev_ba_clip_best"] == pytest.approx(on_dev["lora"])
    gain = compute_metrics(tables["lora_ensemble"]).ba_clip - on_test["lora"]
    assert row["value"] == pytest.approx(gain)
    assert row["low"] < row["value"] < row["high"]


def test_without_dev_no_member_of_an_ensemble_is_the_best(tables) -> None:
    some = {name: tables[name] for name in ("lora", "lora_seed43", "lora_ensemble")}
    (row,) = analyze(some, settings=QUICK).ensembles.to_dict("records")
    assert np.isnan(row["value"])
    assert "not known on dev" in row["reason"]


def test_bca_and_clips_as_units(tables) -> None:
    settings = replace(QUICK, bootstrap=replace(QUICK.bootstrap, method="bca", unit="clip"))
    few = {name: tables[name] for name in ("base", "lora")}
    made = analyze(few, settings=settings)
    row = _value(made.systems, system="base", metric="ba_clip")
    assert row["method"] == "cluster bootstrap, expanded BCa"
    plain = _value(analyze(few, settings=QUICK).systems, system="base", metric="ba_clip")
    # 45 clips a class in 15 groups whose rows agree: clips as units look better known.
    assert row["high"] - row["low"] < plain["high"] - plain["low"]
    assert row["value"] == plain["value"]


def test_row_order_changes_nothing_and_seeds_do(tables) -> None:
    few = {name: tables[name] for name in ("base", "lora")}
    shuffled = {name: t.sample(frac=1, random_state=3) for name, t in few.items()}
    first = analyze(few, settings=QUICK)
    for name, table in analyze(shuffled, settings=QUICK).tables().items():
        pd.testing.assert_frame_equal(table, getattr(first, name))
    other = replace(QUICK, bootstrap=replace(QUICK.bootstrap, seed=2))
    assert not analyze(few, settings=other).systems["low"].equals(first.systems["low"])


def test_one_group_a_class_has_values_and_reasons(tables) -> None:
    table = make_predictions(Listener("a"), groups_per_class=1, grid=SOME)
    made = analyze({"a": table, "b": table.assign(system="b")}, settings=QUICK)
    row = _value(made.systems, system="a", metric="ba_clip")
    assert np.isfinite(row["value"])
    assert "comes from 1 group" in row["reason"]
    assert made.comparisons["p_value"].isna().all()
    assert (made.comparisons["verdict"].dropna() == "same answers").all()
    assert np.isfinite(made.curve_fits["location"]).all()


def test_missing_class_and_unknown_conditions() -> None:
    table = make_predictions(Listener("a"), groups_per_class=4, grid=SOME)
    speech = table[table["label"] == "SPEECH"]
    made = analyze({"a": speech}, settings=QUICK)
    row = _value(made.systems, metric="ba_clip")
    assert row["reason"] == "no nonspeech clip in the table"
    clean = table[table["condition"] == "dur_1000ms"].assign(condition="street", dimension=None)
    made = analyze({"a": clean}, settings=QUICK)
    assert len(made.thresholds) == 0
    row = _value(made.systems, metric="ba_conditions")
    assert row["reason"] == "no row belongs to a dimension of the condition grid"


def test_refusals(tables) -> None:
    with pytest.raises(DataError, match="nothing to analyze"):
        analyze({})
    with pytest.raises(DataError, match="'lora' lacks 5 rows"):
        analyze({"base": tables["base"], "lora": tables["lora"].iloc[5:]})
    wrong = replace(QUICK, pairs=(Pair("base", "vda"),))
    with pytest.raises(ConfigurationError, match=r"\('base', 'vda'\): give two of base, lora"):
        analyze(tables, settings=wrong)


def test_stage_writes_what_is_read_again(tables, dev, tmp_path) -> None:
    steps = []
    inputs = {}
    for name in ("base", "base_opro"):
        folder = tmp_path / f"eval_{name}"
        folder.mkdir()
        write_predictions(folder / "predictions.parquet", tables[name])
        inputs[f"eval_{name}"] = folder
    search = tmp_path / "search"
    search.mkdir()
    both = [
        dev["base"].assign(system="seed_instruction"),
        dev["base_opro"].assign(system="best_instruction"),
    ]
    write_predictions(search / "dev_predictions.parquet", pd.concat(both))
    inputs |= {"dev_base": search, "dev_base_opro": search}
    out = tmp_path / "out"
    context = StageContext(
        config={
            "systems": ["base", "base_opro"],
            "dev": {"base": "first", "base_opro": "winner"},
            "settings": {"bootstrap": {"num_resamples": 100}},
        },
        inputs=inputs,
        out=out,
        work=tmp_path / "work",
        runtime={},
        report=lambda done, total, text: steps.append((done, total, text)),
    )
    summary = run(context)
    made = read_analysis(out)
    assert made.order == ("base", "base_opro", "base@dev", "base_opro@dev")
    assert summary["ba_clip"]["base"] == pytest.approx(compute_metrics(tables["base"]).ba_clip)
    assert made.settings.bootstrap.num_resamples == 100
    assert sorted(made.gaps["what"]) == ["ba_clip", "ba_clip", "gain"]
    assert [done for done, _, _ in steps] == sorted(done for done, _, _ in steps)
    assert steps[-1][0] == steps[-1][1]
    for name in COLUMNS:
        assert list(pd.read_csv(out / f"{name}.csv").columns) == list(COLUMNS[name])
    json.loads((out / "analysis.json").read_text())
    (out / "systems.parquet").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"systems\.parquet"):
        read_analysis(out)


def test_every_input_that_is_missing_is_named(tmp_path) -> None:
    config = {"systems": ["base", "lora"], "dev": {"base": "first", "vad": "evaluation"}}
    with pytest.raises(ConfigurationError) as caught:
        run(stage_context(tmp_path, config, {"eval_base": tmp_path}))
    assert caught.value.problems == (
        "input eval_lora: is missing",
        "input dev_base: is missing",
        "input dev_vad: is missing",
        "dev.vad: is not analyzed; the systems are base, lora",
    )


def test_needs_no_torch() -> None:
    out = run_python(
        "import sys, qsm_core.evaluation.analysis.analyze; "
        "import qsm_core.evaluation.predictions.foreign, "
        "qsm_core.statistics.variance; "
        "print({'torch', 'transformers', 'peft'} & set(sys.modules))"
    )
    assert out.strip() == "set()"


def test_same_answers_are_no_undecided_difference(tables) -> None:
    base = tables["base"]
    made = analyze({"base": base, "copy": base.assign(system="copy")}, settings=QUICK).comparisons
    row = _value(made, metric="ba_clip")
    assert (row["verdict"], row["value"], row["p_value"]) == ("same answers", 0, 1)
    assert row["reason"] == "the two systems gave the same answers"
    assert np.isnan(row["minimum_detectable"])
    assert _value(made, metric="auroc")["verdict"] == "same answers"


def test_a_system_that_only_fails_has_no_ear_to_measure(tables) -> None:
    base = tables["base"]
    failed = base.assign(system="failed", prediction=None, p_speech=np.nan, margin=np.nan)
    made = analyze({"base": base, "failed": failed}, settings=QUICK)
    row = _value(made.systems, system="failed", metric="d_prime")
    assert np.isnan(row["value"])
    assert row["reason"] == "no answer about the clips of a class could be read"
    assert _value(made.comparisons, metric="ba_clip")["verdict"] == "worse"
    assert "d_prime" not in set(made.comparisons["metric"])


@pytest.mark.parametrize("kept", ["one class", "one clip", "a group for each class"])
def test_what_cannot_be_compared_has_no_verdict_or_none_at_all(tables, kept: str) -> None:
    def reduced(table: pd.DataFrame) -> pd.DataFrame:
        if kept == "a group for each class":
            return table.assign(group_id=table["label"])
        own = "label" if kept == "one class" else "clip_id"
        return table[table[own] == table[own].iloc[0]].reset_index(drop=True)

    made = analyze({name: reduced(tables[name]) for name in ("base", "lora")}, settings=QUICK)
    row = _value(made.comparisons, metric="ba_clip")
    assert np.isnan(row["p_value"])
    assert row["reason"]
    assert pd.isna(row["verdict"]) or row["verdict"] == "undecided"


def test_threads_change_nothing(tables) -> None:
    few = {name: tables[name] for name in ("base", "lora", "base_opro")}
    alone, together = (analyze(few, settings=QUICK, threads=n) for n in (1, 3))
    for name, table in alone.tables().items():
        pd.testing.assert_frame_equal(table, together.tables()[name])


def test_groups_that_differ_alike_do_not_show_that_everything_is_detectable(tables) -> None:
    base = tables["base"]
    opposite = {"SPEECH": "NONSPEECH", "NONSPEECH": "SPEECH"}
    right = base.assign(prediction=base["label"])
    wrong = base.assign(prediction=base["label"].map(opposite), system="wrong")
    made = analyze({"base": right, "wrong": wrong}, settings=QUICK).comparisons
    row = _value(made, metric="ba_clip")
    assert (row["value"], row["standard_error"]) == (-1, 0)
    assert np.isnan(row["minimum_detectable"])
