"""What the benchmarks print is counted right: work and losses, not seconds."""

import dataclasses

import pytest
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import scoring, training
from benchmarks.scoring import Workload
from qsm_core.labels import Label
from qsm_core.models.encoder import encode_clips, num_audio_tokens
from qsm_core.training.config import LoraTraining
from qsm_core.training.lora_scope import put_lora
from qsm_core.training.trainer import answer_loss


@pytest.fixture(scope="module")
def llm(tmp_path_factory):
    return scoring.make_model(tmp_path_factory.mktemp("model"), "small", "float32", "none")


def flops(work):
    with FlopCounterMode(display=False, custom_mapping=scoring._ATTENTION_ON_CPU) as counter:
        work()
    return counter.get_total_flops()


def test_eight_instructions_take_little_more_than_what_is_needed(llm):
    load = Workload(1.0, 8, 2)
    clips, texts = scoring.make_clips(load), scoring.make_instructions(8)
    ours = flops(lambda: scoring.score_ours(llm, clips, texts, 2))
    stock = 8 * flops(lambda: scoring.score_stock(llm, clips, texts[0], 2))
    assert 1.0 <= ours / scoring.needed_flops(llm, load, texts) < 1.1
    assert stock / ours > 5


def test_stock_and_our_training_have_one_loss(llm):
    config = LoraTraining(seed=0, instructions=(scoring.ASK,), dropout=0.0)
    clips = scoring.make_clips(Workload(1.0, 1, 2))
    labels = list(Label)
    audio = encode_clips(llm, clips)
    stock = training.stock_batch(llm, clips, labels)
    ours = training.our_batch(llm, config, audio, labels, num_audio_tokens(len(clips[0])))
    adapted = dataclasses.replace(llm, model=put_lora(llm.model, config))
    one = float(training.stock_loss(adapted, stock).detach())
    two = float(answer_loss(adapted, ours, "refuse").detach())
    assert one == pytest.approx(two, rel=1e-5)
