"""The parity check passes on a sound model; each planted fault fails the row that is its own."""

import csv
import dataclasses
import json
import shutil

import bitsandbytes
import pytest
import torch
from safetensors.torch import load_file, save_file

from qsm_core.errors import DataError, ModelError
from qsm_core.inference import parity, prefix
from qsm_core.inference.parity_stage import choose_clips, run
from qsm_core.models import encoder, quantization
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.identity import EMBEDDED_FOLDER
from tests.support.adapters import write_test_adapter
from tests.support.clips import make_clip
from tests.support.corpora import make_corpus
from tests.support.stages import stage_context

ASK = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."
CONFIG = {"instruction": ASK, "num_clips": 6, "other_quantization": False}
TRIMMED = "trimmed encoder against the stock path on 30 s"
PREFIX = "shared prefix against the whole prompt"
SWAPPED = "audio swapped between clips"
ADAPTER = "adapter on against off"
SYSTEM = "system turn once against once a clip"
BATCHES = "batches of one against batches of many"
DECODED = "four-bit layers against their weights decoded"
FOUR_BITS = "four bits (NF4) against none"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    make_corpus(folder, clip_ms=300)
    return folder


@pytest.fixture(scope="module")
def adapter(tmp_path_factory, small_model_folder):
    return write_test_adapter(tmp_path_factory.mktemp("lora") / "adapter", small_model_folder)


@pytest.fixture
def check(tmp_path, small_model_folder, corpus):
    """Run the stage; return its rows by the name of the check, and the verdict."""

    def run_stage(*, model=None, config=CONFIG, **further):
        inputs = {"corpus": corpus, "model": model or small_model_folder, **further}
        context = stage_context(tmp_path, config, inputs)
        summary = run(context)
        result = json.loads((context.out / "parity.json").read_text())
        table = list(csv.DictReader((context.out / "parity.csv").read_text().splitlines()))
        assert [row["check"] for row in table] == [row["check"] for row in result["rows"]]
        assert result["verdict"] == summary["verdict"]
        rows = {row["check"]: row for row in result["rows"]}
        assert summary["failed"] == [n for n, row in rows.items() if row["verdict"] == "FAIL"]
        return rows, summary

    return run_stage


def test_a_sound_model_with_an_adapter_passes_every_row(check, adapter):
    rows, summary = check(adapter=adapter, config=CONFIG | {"other_quantization": True})
    assert summary["verdict"] == "pass"
    assert {row["verdict"] for row in rows.values()} == {"pass"}
    assert len(rows) == 12
    assert summary["largest_difference"] <= 1e-4
    assert rows["encoder output from the cache against fresh"]["largest_difference"] == 0.0
    assert rows[ADAPTER]["largest_difference"] > 0.01


def test_the_embedded_model_passes(check):
    rows, summary = check(model=EMBEDDED_FOLDER, config=CONFIG | {"other_quantization": True})
    assert summary["verdict"] == "pass"
    verdicts = {name: row["verdict"] for name, row in rows.items()}
    assert verdicts.pop(ADAPTER) == "not made"
    assert set(verdicts.values()) == {"pass"}


def test_a_sound_model_in_bfloat16_passes_every_row(
    tmp_path, small_model_folder, adapter, record_property
):
    """Rounding is coarse there: logits differ by percents of their spread, the decisions do not."""
    half = load_audio_llm(small_model_folder, adapter=adapter, device="cpu", dtype="bfloat16")
    clips = [make_clip(seed, ms) for seed, ms in enumerate((1000, 200, 90, 1000, 330, 500, 510))]
    rows = list(parity.ParityCheck(half, clips, ASK, tmp_path).rows())
    for row in rows:
        record_property(row.check, row.in_spreads)
    assert {row.verdict for row in rows} == {"pass"}
    exact = [row for row in rows if row.expected == "equal"]
    assert len(exact) == 8
    assert max(row.in_spreads for row in exact) <= 0.1


def test_a_sound_model_in_four_bits_passes_every_row(check, adapter):
    """On a CPU, float32 sums of four-bit weights are as exact as those of others."""
    four = {"quantization": "nf4", "other_quantization": True}
    rows, summary = check(adapter=adapter, config=CONFIG | four)
    assert {row["verdict"] for row in rows.values()} == {"pass"}
    assert len(rows) == 12
    assert summary["largest_difference"] <= 1e-4


def test_the_models_own_settings_of_generation_play_no_part(check, small_model_folder, tmp_path):
    """Published models come with sampling and a penalty on repeated words, SPEECH among them."""
    model = shutil.copytree(small_model_folder, tmp_path / "model")
    path = model / "generation_config.json"
    settings = json.loads(path.read_text())
    settings |= {"do_sample": True, "repetition_penalty": 1.3, "temperature": 0.7, "top_k": 20}
    path.write_text(json.dumps(settings))
    rows, _ = check(model=model)
    assert rows["one forward pass against constrained generate"]["verdict"] == "pass"


def test_a_wrong_mask_fails(check, monkeypatch):
    """One frame of padding behind each clip takes part, as without the encoder's mask."""
    sound = encoder.encode_mel

    def one_frame_more(llm, mel, num_frames):
        return sound(llm, mel, num_frames + 1)[:, : num_frames // 2]

    monkeypatch.setattr(encoder, "encode_mel", one_frame_more)
    rows, summary = check()
    assert rows[TRIMMED]["verdict"] == "FAIL"
    assert summary["verdict"] == "FAIL"


def test_dropped_audio_fails(check, monkeypatch):
    """The audio does not arrive in the prompt: the model answers blind."""
    sound = prefix.input_embeddings

    def deaf(llm, token_ids, features):
        return sound(llm, token_ids, [torch.zeros_like(feature) for feature in features])

    monkeypatch.setattr(prefix, "input_embeddings", deaf)
    rows, _ = check()
    assert rows[SWAPPED]["verdict"] == rows[TRIMMED]["verdict"] == "FAIL"


@pytest.mark.parametrize("half", [".lora_A.", ".lora_B."])
def test_an_adapter_that_does_nothing_fails(tmp_path, check, adapter, half):
    import shutil

    folder = shutil.copytree(adapter, tmp_path / "adapter")
    tensors = load_file(folder / "adapter_model.safetensors")
    for name, tensor in tensors.items():
        if half in name:
            tensor.zero_()
    save_file(tensors, folder / "adapter_model.safetensors")
    rows, summary = check(adapter=folder)
    assert summary["failed"] == [ADAPTER]
    assert "refused" in rows[ADAPTER]["note"]


def test_a_prefix_that_is_not_the_prompts_own_fails(check, monkeypatch):
    """The cache holds another audio than the prompt asks about."""
    sound = prefix.Prefix.cache

    def of_others(self, embeddings):
        return sound(self, [*embeddings[1:], embeddings[0]])

    monkeypatch.setattr(prefix.Prefix, "cache", of_others)
    rows, _ = check()
    assert rows[PREFIX]["verdict"] == rows[BATCHES]["verdict"] == "FAIL"


def test_another_system_turn_than_the_prompts_own_fails(check, monkeypatch):
    sound = prefix.Prefix.__init__

    def without_its_end(self, llm, parts, *, shared_system):
        shorter = dataclasses.replace(parts, before=parts.before[:-1])
        sound(self, llm, shorter if shared_system else parts, shared_system=shared_system)

    monkeypatch.setattr(prefix.Prefix, "__init__", without_its_end)
    rows, _ = check()
    assert rows[SYSTEM]["verdict"] == rows[PREFIX]["verdict"] == "FAIL"


@pytest.fixture
def kernel_of_avx512(monkeypatch):
    """Decode on this CPU as bitsandbytes 0.50 does with AVX-512: each row begins a block."""

    def multiply(layer, inputs):
        state = layer.weight.quant_state
        height, width = state.shape
        rows, columns = torch.arange(height)[:, None], torch.arange(width)
        taken = rows * (width // state.blocksize) + columns // state.blocksize
        right = (rows * width + columns) // state.blocksize
        of_scales = state.state2.absmax.repeat_interleave(state.state2.blocksize)
        scales = state.state2.code[state.absmax.int()] * of_scales[: len(state.absmax)]
        scales += state.offset
        weight = quantization.decoded_weight(layer) / scales[right] * scales[taken]
        return torch.nn.functional.linear(inputs, weight, layer.bias)

    monkeypatch.setattr(bitsandbytes.nn.Linear4bit, "forward", multiply)


def test_a_wrong_kernel_for_four_bits_fails_where_layers_are_left_to_it(
    check, monkeypatch, kernel_of_avx512
):
    """The embedded model loses so little to it that the comparison with none does not see it."""
    config = CONFIG | {"other_quantization": True}
    rows, _ = check(model=EMBEDDED_FOLDER, config=config)
    assert rows[DECODED]["verdict"] == rows[FOUR_BITS]["verdict"] == "pass"
    monkeypatch.setattr(quantization, "_divide_rows", lambda *_: None)
    rows, summary = check(model=EMBEDDED_FOLDER, config=config)
    assert summary["failed"] == [DECODED]
    assert rows[DECODED]["in_spreads"] > 0.1
    rows, summary = check(config=config)
    assert DECODED in summary["failed"]


def test_decisions_within_the_noise_may_differ_and_others_may_not():
    logits = torch.tensor([[4.0, 0.0], [-3.0, 0.0], [0.001, 0.0]])

    def answers(change):
        moved = logits + change
        margins = (moved[:, 0] - moved[:, 1]).double()
        return parity.Answers(moved, margins > 0, margins)

    near = answers(torch.tensor([[0.0, 0.0], [0.0, 0.0], [-0.01, 0.0]]))
    row = parity.judge("x", answers(0), near, expected="equal", exact=False)
    assert (row.verdict, row.decisions_changed) == ("pass", 1)
    assert parity.judge("x", answers(0), near, expected="equal", exact=True).verdict == "FAIL"
    nothing = answers(torch.full((3, 2), torch.nan))
    assert parity.judge("x", answers(0), nothing, expected="equal", exact=True).verdict == "FAIL"
    assert parity.judge("x", answers(0), near, expected="different", exact=True).verdict == "FAIL"


def test_what_cannot_be_checked_is_refused(check, tmp_path):
    with pytest.raises(ModelError, match="asks for an open answer"):
        check(config=CONFIG | {"instruction": "What do you hear?"})
    quiet = make_corpus(tmp_path / "short", clip_ms=60)
    with pytest.raises(DataError, match="0 of 16 clips are 80 ms long and not silent"):
        choose_clips(quiet, 4)
