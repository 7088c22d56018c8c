"""Banks of impulse responses: saved, loaded, recorded; nothing is ever missing in silence."""

from __future__ import annotations

import re
import zipfile

import numpy as np
import pytest
import soundfile

from qsm_core.conditions.rirs import RirBank, RoomResponse, load_rirs, simulate_rirs
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.seeding import derive_rng


def decay(t60_s, *, lead=0, seed=0, rate_hz=16_000):
    """An impulse response: silence, the direct sound, decaying noise."""
    seconds = np.arange(round(rate_hz * 1.5 * t60_s)) / rate_hz
    noise = np.random.default_rng(seed).standard_normal(seconds.size) * 10 ** (-3 * seconds / t60_s)
    response = np.concatenate([np.zeros(lead), 0.1 * noise])
    response[lead] = 0.9
    return response


def write(path, response, rate_hz=16_000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, response, rate_hz, subtype="FLOAT")


@pytest.fixture
def small_bank():
    return simulate_rirs(7, t60s_s=(0.3,), per_t60=2)


def test_a_bank_comes_back_as_it_was_saved(tmp_path):
    odd = 0.1 + 0.2  # 0.30000000000000004: a level must not be rounded
    names = ["a|b", "Räume/große Halle.wav", "file", "index"]
    rooms = [
        RoomResponse(name, 0.3 + i / 7, np.full(3 + i, i, dtype=np.float32))
        for i, name in enumerate(names)
    ]
    bank = RirBank({2.5: tuple(rooms[:1]), odd: tuple(rooms[1:])})
    bank.save(tmp_path / "rirs.npz")
    loaded = RirBank.load(tmp_path / "rirs.npz")
    assert set(loaded.responses) == {odd, 2.5}
    for level, expected in bank.responses.items():
        for before, after in zip(expected, loaded.responses[level], strict=True):
            assert (before.name, before.t60_s) == (after.name, after.t60_s)
            assert after.samples.dtype == np.float32
            np.testing.assert_array_equal(before.samples, after.samples)


def test_equal_banks_are_equal_bytes(tmp_path, small_bank):
    small_bank.save(tmp_path / "a.npz")
    RirBank.load(tmp_path / "a.npz").save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("content", [None, b"", b"not a bank", "npz without index"])
def test_a_file_that_is_no_bank(tmp_path, content):
    path = tmp_path / "rirs.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        np.savez(path, other=np.zeros(3))
    with pytest.raises(DataError, match=r"rirs\.npz: .*the stage make_rirs writes such a file"):
        RirBank.load(path)


def test_a_bank_that_was_cut_short(tmp_path, small_bank):
    path = tmp_path / "rirs.npz"
    small_bank.save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"rirs\.npz: .*the stage make_rirs writes such a file"):
        RirBank.load(path)


def test_a_missing_t60_is_an_error_that_names_what_there_is(small_bank):
    with pytest.raises(DataError, match=r"T60 1 s: the bank holds 0\.3 s"):
        small_bank.choose(1.0, derive_rng(0, "room"))
    with pytest.raises(DataError, match="the bank holds none"):
        RirBank({}).choose(1.0, derive_rng(0, "room"))


def test_every_response_is_chosen_now_and_then(small_bank):
    chosen = {small_bank.choose(0.3, derive_rng(0, "room", str(i))).name for i in range(50)}
    assert chosen == {"room0", "room1"}


@pytest.mark.parametrize("per_t60", [0, -1])
def test_a_bank_of_nothing_is_refused(tmp_path, per_t60):
    with pytest.raises(ConfigurationError, match=f"per_t60 = {per_t60}: must be 1 or more"):
        simulate_rirs(0, t60s_s=(0.3,), per_t60=per_t60)
    with pytest.raises(ConfigurationError, match=f"per_t60 = {per_t60}: must be 1 or more"):
        load_rirs(tmp_path, t60s_s=(0.3,), per_t60=per_t60)


def test_recorded_responses_are_found_by_their_measured_t60(tmp_path):
    write(tmp_path / "rooms/small.wav", decay(0.35, lead=500))
    write(tmp_path / "rooms/tiny.flac.wav", decay(0.2, seed=1))
    write(tmp_path / "hall.wav", decay(2.4, seed=2, rate_hz=48_000), 48_000)
    bank = load_rirs(tmp_path, t60s_s=(0.3, 2.5))
    assert [room.name for room in bank.responses[0.3]] == ["rooms/small.wav", "rooms/tiny.flac.wav"]
    assert [room.name for room in bank.responses[2.5]] == ["hall.wav"]
    small = bank.responses[0.3][0]
    assert small.t60_s == pytest.approx(0.35, rel=0.1)
    assert int(np.argmax(np.abs(small.samples))) == 0  # what came before the direct sound is cut
    assert small.samples.size == round(16_000 * 1.5 * 0.35)


def test_the_nearest_responses_are_kept(tmp_path):
    for index, t60_s in enumerate([0.15, 0.25, 0.31, 0.45]):
        write(tmp_path / f"{t60_s}.wav", decay(t60_s, seed=index))
    bank = load_rirs(tmp_path, t60s_s=(0.3,), per_t60=2)
    assert [room.name for room in bank.responses[0.3]] == ["0.31.wav", "0.25.wav"]


def test_the_first_microphone_of_several_is_taken(tmp_path):
    first, second = decay(0.3), decay(1.0)[: decay(0.3).size]
    write(tmp_path / "array.wav", np.stack([first, second], axis=1))
    room = load_rirs(tmp_path, t60s_s=(0.3,)).responses[0.3][0]
    np.testing.assert_allclose(room.samples, first, atol=1e-6)


def test_a_corpus_with_lists_is_read_by_its_lists(tmp_path):
    top = tmp_path / "RIRS_NOISES"
    real = top / "real_rirs"
    write(real / "stairway.wav", decay(1.0))
    write(real / "street_noise.wav", np.full(16_000, 0.5))
    write(top / "simulated/Room001/Room001-00001.wav", decay(0.3))
    line = "--rir-id 00001 --room-id {} RIRS_NOISES/{}\n"
    (real / "rir_list").write_text(line.format("stairs", "real_rirs/stairway.wav"))
    (top / "simulated/rir_list").write_text(
        line.format("Room001", "simulated/Room001/Room001-00001.wav") + "\n"
    )
    for folder in (tmp_path, top):
        bank = load_rirs(folder, t60s_s=(0.3, 1.0))
        assert bank.responses[0.3][0].name.endswith("simulated/Room001/Room001-00001.wav")
        assert bank.responses[1.0][0].name.endswith("real_rirs/stairway.wav")


def test_a_list_that_names_a_missing_file(tmp_path):
    (tmp_path / "rir_list").write_text("--rir-id 1 --room-id a rooms/absent.wav\n")
    with pytest.raises(DataError, match=r"rooms/absent\.wav: there is no such file at or above"):
        load_rirs(tmp_path, t60s_s=(0.3,))


def test_a_folder_without_audio(tmp_path):
    (tmp_path / "readme.txt").write_text("no audio")
    with pytest.raises(DataError, match="there is no audio file below it"):
        load_rirs(tmp_path, t60s_s=(0.3,))


def test_every_t60_without_a_response_is_reported(tmp_path):
    write(tmp_path / "small.wav", decay(0.3))
    with pytest.raises(DataError) as caught:
        load_rirs(tmp_path, t60s_s=(0.3, 1.0, 2.5))
    assert caught.value.problems == (
        "T60 1 s: none within 0.2 s; measured: 0.3 s",
        "T60 2.5 s: none within 0.2 s; measured: 0.3 s",
    )


def test_every_file_that_is_no_response_is_reported(tmp_path):
    write(tmp_path / "small.wav", decay(0.3))
    write(tmp_path / "click.wav", np.eye(1, 100)[0])
    write(tmp_path / "silence.wav", np.zeros(16_000))
    (tmp_path / "broken.wav").write_bytes(b"no audio at all")
    with pytest.raises(DataError, match="not impulse responses below") as caught:
        load_rirs(tmp_path, t60s_s=(0.3,))
    text = "\n".join(caught.value.problems)
    for name in ("click.wav", "silence.wav", "broken.wav", "rir_list"):
        assert name in text
    assert not re.search(r"small\.wav", text)
