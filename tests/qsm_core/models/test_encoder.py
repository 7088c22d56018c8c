import numpy as np
import pytest
import torch

from qsm_core.errors import DataError, ModelError
from qsm_core.models.encoder import (
    MIN_SAMPLES,
    ShortClipPolicy,
    check_front_end,
    encode_batch,
    encode_clips,
    log_mel,
    num_audio_tokens,
    num_encoder_frames,
)
from qsm_core.models.forward import input_embeddings, last_logits
from tests.support.clips import make_clip

# Around every border: one token, odd and even mel frames, both sides of a frame, whole seconds.
DURATIONS_MS = (40, 41, 49.9, 50, 60, 69, 70, 80, 100, 110, 130.0625, 200, 500, 777.7, 1000, 5000)


def stock_inputs(llm, clips):
    prompt = "<|audio_bos|><|AUDIO|><|audio_eos|>\nSpeech?<|im_end|>\n<|im_start|>assistant\n"
    return llm.processor(
        text=[prompt] * len(clips),
        audio=clips,
        sampling_rate=16_000,
        return_tensors="pt",
        padding=True,
    )


def trimmed_logits(llm, clips, encode):
    """Our path, one row at a time, for clips encoded together."""
    rows = []
    for clip, feature in zip(clips, encode(llm, clips), strict=True):
        ids = stock_inputs(llm, [clip])["input_ids"]
        rows.append(last_logits(llm, input_embeddings(llm, ids, [feature])))
    return torch.cat(rows)


def stock_logits(llm, clips):
    """The stock 3000-frame path for all clips in one left-padded batch."""
    return llm.model(**stock_inputs(llm, clips)).logits[:, -1]


@pytest.mark.parametrize("duration_ms", DURATIONS_MS)
def test_logits_equal_the_stock_path_for_each_length(small_llm, duration_ms):
    clip = make_clip(round(duration_ms), duration_ms)
    with torch.no_grad():
        stock = stock_logits(small_llm, [clip])
        ours = trimmed_logits(small_llm, [clip], encode_clips)
    assert stock.std() > 0.1
    assert (ours - stock).abs().max() <= 1e-5


def test_logits_equal_the_stock_path_in_a_batch_of_mixed_lengths(small_llm):
    clips = [make_clip(seed, ms) for seed, ms in enumerate((1000, 60, 500, 1010, 60, 5000, 333.3))]
    with torch.no_grad():
        stock = stock_logits(small_llm, clips)
        for encode in (encode_clips, encode_batch):
            assert (trimmed_logits(small_llm, clips, encode) - stock).abs().max() <= 1e-5


def test_logits_equal_the_stock_path_at_the_end_of_the_window(small_llm):
    clips = [make_clip(seed, ms) for seed, ms in enumerate((29_960, 29_990, 30_000))]
    with torch.no_grad():
        stock = stock_logits(small_llm, clips)
        assert (trimmed_logits(small_llm, clips, encode_clips) - stock).abs().max() <= 1e-5


def test_quiet_clip_has_the_floor_of_the_stock_log_mel(small_llm):
    """The floor hangs on the loudest frame, here a click at the very end of near silence."""
    clip = np.full(8000, 1e-7, np.float32)
    clip[-1] = 0.9
    stock = small_llm.feature_extractor([clip], sampling_rate=16_000, return_tensors="pt")
    frames = 2 * num_encoder_frames(clip.size) + 2
    ours = log_mel(small_llm.feature_extractor, [clip], frames)
    assert ours.shape == (1, 128, frames)
    assert (ours - stock["input_features"][..., :frames]).abs().max() <= 1e-6


def test_embeddings_do_not_depend_on_company_or_order(small_llm):
    clips = [make_clip(seed, ms) for seed, ms in enumerate((300, 1000, 300, 420, 1000, 300))]
    together = encode_clips(small_llm, clips)
    for size in (1, 2, 4):
        for one, other in zip(encode_clips(small_llm, clips, size), together, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    backwards = encode_clips(small_llm, clips[::-1])[::-1]
    for clip, one, other in zip(clips, backwards, together, strict=True):
        assert len(one) == num_audio_tokens(clip.size)
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("num_samples", "tokens"),
    [(1, 0), (320, 0), (321, 1), (480, 1), (960, 1), (961, 2), (16_000, 25), (480_000, 750)],
)
def test_token_counts_are_those_of_the_stock_processor(small_llm, num_samples, tokens):
    assert num_audio_tokens(num_samples) == tokens
    ids = stock_inputs(small_llm, [np.zeros(num_samples, np.float32)])["input_ids"]
    assert int((ids == small_llm.audio_token_id).sum()) == tokens


def test_a_clip_without_audio_tokens_is_refused_by_name(small_llm):
    clips = [make_clip(0, 100), make_clip(1, 20), make_clip(2, 10)]
    with pytest.raises(DataError, match="clip 1: 20 ms gives no audio token") as caught:
        encode_clips(small_llm, clips)
    assert len(caught.value.problems) == 2


def test_a_clip_without_audio_tokens_is_padded_on_request(small_llm):
    clip = make_clip(1, 20)
    (padded,) = encode_clips(small_llm, [clip], short_clips=ShortClipPolicy.PAD)
    by_hand = np.pad(clip, (0, MIN_SAMPLES - clip.size))
    assert torch.equal(padded, encode_clips(small_llm, [by_hand])[0])
    assert len(padded) == 1


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (np.zeros(480_001, np.float32), "30.000 s: at most 30 s fit"),
        (np.zeros((2, 1600), np.float32), r"shape \(2, 1600\)"),
        (np.zeros(1600, np.float64), "float64: needed is one axis of float32"),
        (np.full(1600, np.nan, np.float32), "NaN"),
        (np.zeros(0, np.float32), "0 ms gives no audio token"),
    ],
)
def test_clips_that_cannot_be_encoded_are_refused(small_llm, clip, message):
    with pytest.raises(DataError, match=message):
        encode_clips(small_llm, [clip], short_clips="pad")


def test_gradients_reach_the_encoder_in_training(small_llm):
    weight = small_llm.core.model.audio_tower.conv1.weight
    (feature,) = encode_batch(small_llm, [make_clip(0, 300)])
    (gradient,) = torch.autograd.grad(feature.square().sum(), weight)
    assert gradient.abs().max() > 0
    assert not encode_clips(small_llm, [make_clip(0, 300)])[0].requires_grad


def test_another_front_end_is_refused(small_llm):
    extractor = type(small_llm.feature_extractor)(feature_size=128, hop_length=80, dither=0.1)
    with pytest.raises(ModelError, match=r"hop_length = 80, not 160; .*dither = 0.1"):
        check_front_end(extractor)
