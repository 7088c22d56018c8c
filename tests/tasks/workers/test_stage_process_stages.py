"""The real stages in a process of their own: interrupted or not, the bits are the same."""

from __future__ import annotations

import pytest
import torch

from qsm_core.conditions.config import RenderSettings
from qsm_core.errors import InterruptedStageError
from qsm_core.evaluation.analysis.bootstrap_settings import BootstrapSettings
from qsm_core.stage.making import make_output
from qsm_core.stage.stop import StopRequest
from qsm_core.store.spec import StageInput, build_spec
from qsm_core.store.store import Store
from tasks.evaluation import evaluate
from tasks.run.config_values import config_values
from tasks.training import train_lora
from tasks.workers.stage_process import StageProcess
from tests.support.corpora import make_corpus

ASK = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."
# By stage: its configuration, and the message behind whose second it is asked to stop.
STAGES = {
    "train_lora": (
        train_lora,
        {
            "seed": 1,
            "instructions": (ASK,),
            "rank": 4,
            "alpha": 8,
            "learning_rate": 0.01,
            "epochs": 80,
            "effective_batch_size": 4,
            "micro_batch_size": 2,
            "patience": 0,
            "eval_every_steps": 25,
            "base_model": "small test model",
        },
        "training loss",
    ),
    "evaluate": (
        evaluate,
        {
            "system": "small",
            "instruction": ASK,
            "block_clips": 1,
            "bootstrap": BootstrapSettings(num_resamples=100),
            "conditions": ("dur_100ms", "snr_0dB"),
            "render": RenderSettings(container_ms=400.0),
        },
        "clips scored",
    ),
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, small_model_folder):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, test=120)
    store = Store(tmp_path_factory.mktemp("digests"))
    paths = dict.fromkeys(("corpus", "train", "dev"), folder) | {"model": small_model_folder}
    return {name: StageInput(path, store.digest(path).digest) for name, path in paths.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", STAGES)
def test_an_interrupted_process_continues_to_the_bits_of_a_stage_called_here(
    name, inputs, tmp_path
):
    stage, values, message = STAGES[name]
    spec = build_spec(
        stage.definition, config_values(stage, stage.traits.config(**values), name), inputs
    )
    runtime = {"threads": torch.get_num_threads(), "device": "cpu"}
    stop = StopRequest()
    left = [2]

    def report(done, total, shown):
        left[0] -= shown.startswith(message)
        if left[0] <= 0:
            stop.set("somebody else needs the node")

    store = Store(tmp_path / "apart")
    lines: list[str] = []
    with pytest.raises(InterruptedStageError, match=r"somebody else needs the node; .* kept"):
        make_output(
            store, spec, inputs, runtime, report, launch=StageProcess(stop, lines.append), stop=stop
        )
    apart = make_output(
        store, spec, inputs, runtime, launch=StageProcess(StopRequest(), lines.append)
    )
    here = make_output(Store(tmp_path / "here"), spec, inputs, runtime)
    assert apart.manifest.provenance["resumed"] is True
    assert apart.manifest.provenance["interruptions"] == 1
    assert apart.manifest.provenance["peak_memory_mib"] > 100
    assert apart.digest == here.digest
    asked = {"n_asked"}  # by the last attempt
    assert _without(apart.summary, asked) == _without(here.summary, asked)


def _without(summary, names):
    return {name: value for name, value in summary.items() if name not in names}
