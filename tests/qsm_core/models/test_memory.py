"""Predicted peaks against measured ones, within 15 %, on small models of the real architecture."""

import pytest
import torch
from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration

from qsm_core.errors import ModelError
from qsm_core.inference.prompt import prompt_parts
from qsm_core.inference.scoring import InstructionScorer
from qsm_core.labels import Label
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.encoder import encode_clips, num_audio_tokens
from qsm_core.models.memory import Account, LoraShape, plan_memory, rows_that_fit
from qsm_core.models.peak_memory import measure_peak
from qsm_core.models.shape import QWEN2_AUDIO_7B, ModelShape
from qsm_core.training.config import LoraTraining
from qsm_core.training.examples import AnswerExamples, ExampleMaker, collate
from qsm_core.training.lora import _with_new_adapter
from qsm_core.training.lora_scope import count_parameters, put_lora
from qsm_core.training.trainer import answer_loss
from tests.support.clips import make_clip
from tests.support.small_model import build_small_model

ASK = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."
WITHIN = 0.15
GIB = 2**30


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Wide enough that the terms that grow with the widths are not lost among the others."""
    sizes = {"encoder_layers": 3, "encoder_dim": 96, "text_layers": 4, "text_dim": 128, "heads": 4}
    return build_small_model(tmp_path_factory.mktemp("model"), **sizes)


def weight_bytes(llm):
    return sum(p.numel() * p.element_size() for p in llm.model.parameters())


def account_of(folder, llm):
    tokens = len(prompt_parts(llm, ASK).after)
    return Account(ModelShape.read(folder), llm.quantization, "cpu", 4, tokens)


@pytest.mark.parametrize("quantization", ["none", "nf4"])
def test_weights(folder, quantization):
    llm = load_audio_llm(folder, device="cpu", quantization=quantization, self_test=False)
    account = account_of(folder, llm)
    assert account.weights() == pytest.approx(weight_bytes(llm), rel=0.02)
    if quantization == "none":
        parameters = sum(p.numel() for p in llm.model.parameters())
        assert account.shape.parameters == parameters


@pytest.mark.parametrize(("clip_ms", "batch"), [(200, 8), (1000, 8), (2000, 16), (5000, 4)])
def test_scoring(folder, clip_ms, batch):
    llm = load_audio_llm(folder, device="cpu", self_test=False)
    scorer = InstructionScorer(llm, batch_size=batch)
    clips = [make_clip(seed, clip_ms) for seed in range(batch)]

    def score():
        scorer.score_many(scorer.encode(clips), [ASK, ASK])

    score()
    measured = measure_peak(score, llm.device) + weight_bytes(llm)
    assert account_of(folder, llm).scoring(batch, clip_ms) == pytest.approx(measured, rel=WITHIN)


TRAININGS = {
    "plain": {},
    "four bits": {"quantization": "nf4"},
    "no dropout": {"dropout": 0.0},
    "mlp": {"targets": "attention+mlp"},
    "encoder": {"tune_encoder": True},
    "everything": {"targets": "everything"},
    "checkpointing": {"gradient_checkpointing": True},
    "rank 64": {"rank": 64},
}


@pytest.mark.parametrize("name", TRAININGS)
@pytest.mark.parametrize("clip_ms", [500, 2000])
def test_training(folder, name, clip_ms):
    batch = 8
    config = LoraTraining(seed=1, instructions=(ASK,), **TRAININGS[name])
    llm = load_audio_llm(folder, device="cpu", quantization=config.quantization, self_test=False)
    account, weights = account_of(folder, llm), weight_bytes(llm)
    clips = [make_clip(seed, clip_ms) for seed in range(batch)]
    audio = clips if config.projections.encoder else encode_clips(llm, clips)
    maker = ExampleMaker(llm, config.instructions, "auto", config.system_prompt)
    made = [maker.make(ASK, list(Label)[i % 2], num_audio_tokens(len(clips[0]))) for i in range(8)]
    examples = AnswerExamples(made, audio)
    adapted = _with_new_adapter(llm, config)
    adapted.model.train()
    rows = collate([examples[i] for i in range(batch)], 0)
    learned = [p for p in adapted.model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned)

    def step():
        answer_loss(adapted, rows, "refuse").backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    standing = weights + 3 * sum(4 * p.numel() for p in learned)  # weights and two moments
    measured = measure_peak(step, llm.device) + standing
    lora = LoraShape(
        config.rank,
        config.targets,
        config.tune_encoder,
        config.dropout,
        config.gradient_checkpointing,
    )
    assert account.lora_parameters(lora) == sum(p.numel() for p in learned)
    assert account.training(batch, clip_ms, lora) == pytest.approx(measured, rel=WITHIN)


# Parameters of rank 16 at 7B sizes; the first system documents 20.7 and 43.9 million.
SCOPES = {
    ("attention", False): 16_777_216,
    ("everything", False): 20_709_376,
    ("attention", True): 22_020_096,
    ("attention+mlp", False): 39_976_960,
    ("everything+mlp", False): 43_909_120,
    ("attention+mlp", True): 51_773_440,
}


@pytest.mark.parametrize(("targets", "tune_encoder"), SCOPES)
def test_parameters_of_the_scopes_at_7b_sizes(targets, tune_encoder):
    config = LoraTraining(seed=1, instructions=(ASK,), targets=targets, tune_encoder=tune_encoder)
    with torch.device("meta"):
        audio = {"d_model": 1280, "encoder_layers": 32, "encoder_attention_heads": 20}
        text = {"hidden_size": 4096, "intermediate_size": 11_008, "num_hidden_layers": 32}
        sizes = Qwen2AudioConfig(
            audio_config={**audio, "encoder_ffn_dim": 5120},
            text_config={**text, "vocab_size": 156_032, "model_type": "qwen2"},
        )
        adapted = put_lora(Qwen2AudioForConditionalGeneration(sizes), config)
    lora = LoraShape(config.rank, targets, tune_encoder)
    expected = SCOPES[targets, tune_encoder]
    assert count_parameters(adapted)[0] == expected
    assert Account(QWEN2_AUDIO_7B, "nf4", "cuda", 2).lora_parameters(lora) == expected


def test_qlora_of_the_7b_model_at_two_seconds_fits_16_gb():
    assert QWEN2_AUDIO_7B.parameters == pytest.approx(8.4e9, rel=0.01)
    plan = plan_memory(
        QWEN2_AUDIO_7B,
        quantization="nf4",
        clip_ms=2000,
        lora=LoraShape(rank=64),
        available_bytes=16e9,
    )
    assert plan.problems == []
    assert plan.micro_batch >= 2
    assert plan.scoring_batch >= 8
    assert 5 * GIB < plan.weights < 8 * GIB
    # Without four bits the weights alone are too large for it.
    full = plan_memory(QWEN2_AUDIO_7B, clip_ms=2000, available_bytes=16e9)
    assert len(full.problems) == 2
    assert "take quantization 'nf4'" in full.problems[0]


def test_more_of_anything_needs_more():
    def training(clip_ms=2000, **lora):
        plan = plan_memory(
            QWEN2_AUDIO_7B, clip_ms=clip_ms, lora=LoraShape(**lora), micro_batch=4, scoring_batch=4
        )
        return plan.training

    assert training() < training(clip_ms=4000)
    assert training() < training(rank=64)
    assert training() < training(targets="attention+mlp") < training(tune_encoder=True, rank=512)
    assert training(gradient_checkpointing=True) < training()


def test_the_batch_follows_the_budget(small_llm):
    account = Account(QWEN2_AUDIO_7B, "none", "cuda", 2)
    short, long = (rows_that_fit(account, tokens, 20e9) for tokens in (25, 750))
    assert short > 8 * long >= 8
    assert rows_that_fit(account, 750, 0.0) == 1
    clips = [make_clip(seed, 500) for seed in range(6)]
    sizes = []
    scorer = InstructionScorer(small_llm, memory_bytes=3 * account_row(small_llm, 12))
    hook = small_llm.core.model.language_model.register_forward_pre_hook(
        lambda module, arguments, named: sizes.append(len(named["inputs_embeds"])),
        with_kwargs=True,
    )
    try:
        scorer.score(scorer.encode(clips), ASK)
    finally:
        hook.remove()
    # The system turn; then prefix and instruction of 80 % of what three rows take.
    assert sizes == [1, 2, 2, 2, 2, 2, 2]


def account_row(llm, audio_tokens):
    from qsm_core.models.loaded_audio_llm import account_of

    return account_of(llm).row(audio_tokens)


def test_a_folder_without_a_configuration_is_an_error(tmp_path):
    with pytest.raises(ModelError, match="the sizes of the model cannot be read"):
        ModelShape.read(tmp_path)
