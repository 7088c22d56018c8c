import errno

import pytest
import torch

from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.encoder import encode_clips
from qsm_core.models.encoder_cache import EncoderCache, encoder_digest
from tests.support.adapters import write_test_adapter
from tests.support.clips import make_clip

DURATIONS_MS = (300, 1000, 300, 420, 1000, 300)


@pytest.fixture(scope="module")
def clips():
    return [make_clip(seed, ms) for seed, ms in enumerate(DURATIONS_MS)]


@pytest.fixture
def cache(tmp_path, small_llm):
    return EncoderCache(tmp_path, encoder_digest(small_llm))


def refuse(module, arguments):
    raise AssertionError("the encoder ran")


def test_the_second_time_nothing_is_encoded_and_the_bits_are_equal(small_llm, clips, cache):
    fresh = encode_clips(small_llm, clips)
    first = encode_clips(small_llm, clips, cache=cache)
    hook = small_llm.core.model.audio_tower.conv1.register_forward_pre_hook(refuse)
    try:
        second = encode_clips(small_llm, clips, cache=cache)
        with pytest.raises(AssertionError, match="the encoder ran"):
            encode_clips(small_llm, [clips[0] * 0.5], cache=cache)
    finally:
        hook.remove()
    for one, two, three in zip(fresh, first, second, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)
    assert (cache.hits, cache.misses) == (3, 4)


def test_another_batch_is_another_entry(small_llm, clips, cache):
    """A clip out of another batch may differ in its last bits."""
    encode_clips(small_llm, clips, cache=cache)
    encode_clips(small_llm, clips, 1, cache=cache)
    assert cache.hits == 1  # the clip of 420 ms was alone before, too


def test_an_encoder_with_other_weights_is_another_encoder(tmp_path, small_model_folder, small_llm):
    tower, language = (
        load_audio_llm(
            small_model_folder,
            adapter=write_test_adapter(tmp_path / name, small_model_folder, targets=targets),
            device="cpu",
        )
        for name, targets in (
            ("tower", r".*audio_tower.*\.(q|v)_proj"),
            ("language", r".*language_model.*\.(q|v)_proj"),
        )
    )
    half = load_audio_llm(small_model_folder, device="cpu", dtype="bfloat16", self_test=False)
    assert encoder_digest(language) == encoder_digest(small_llm)
    assert len({encoder_digest(llm) for llm in (small_llm, tower, half)}) == 3


def test_a_cpu_with_other_kernels_is_another_encoder(small_llm, monkeypatch):
    """A store may lie on a disk that unequal machines share; their sums differ in the last bits."""
    here = encoder_digest(small_llm)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "ANOTHER")
    assert encoder_digest(small_llm) != here


def test_a_damaged_entry_is_made_again(tmp_path, small_llm, clips, cache):
    first = encode_clips(small_llm, clips[:1], cache=cache)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:50])
    again = encode_clips(small_llm, clips[:1], cache=cache)
    assert torch.equal(first[0], again[0])
    assert cache.load(clips[:1]) is not None


def test_the_folder_does_not_grow_without_end(tmp_path, small_llm, clips):
    cache = EncoderCache(tmp_path, "x", limit_bytes=9000)
    for seed in range(12):
        encode_clips(small_llm, [make_clip(seed, 420)], cache=cache)
    files = list(tmp_path.iterdir())
    assert sum(path.stat().st_size for path in files) <= 9000
    assert cache.load([make_clip(11, 420)]) is not None
    assert cache.load([make_clip(0, 420)]) is None


def test_a_full_disk_ends_the_keeping_and_nothing_else(small_llm, clips, cache, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("qsm_core.models.encoder_cache.save_file", full)
    assert len(encode_clips(small_llm, clips, cache=cache)) == len(clips)
    assert "No space left on device" in cache.problem
