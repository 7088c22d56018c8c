"""Simulated rooms: impulse responses of shoebox rooms with a given T60.

Early reflections come from the image-source method, the tail from ray tracing (pyroomacoustics);
the tail's envelope is then adjusted until the measured T60 is the wanted one. The response starts
at the direct sound, so reverberation does not delay a clip.
"""

from __future__ import annotations

import numpy as np

from qsm_core.audio.format import SAMPLE_RATE_HZ
from qsm_core.audio.level import Waveform
from qsm_core.conditions.decay import adjust_t60, measure_t60_s
from qsm_core.errors import ConfigurationError, DataError
from qsm_core.seeding import derive_rng, derive_seed

_SMALLEST_ROOM_M = np.array([5.0, 4.0, 2.5])
_LARGEST_ROOM_M = np.array([10.0, 8.0, 4.0])
_WALL_DISTANCE_M = 0.8
_MIN_DISTANCE_M = 1.0
_IMAGE_ORDER = 6
_NUM_RAYS = 2000
_SPEED_OF_SOUND_M_S = 343.0
_T60_TOLERANCE = 0.1
_MOST_ATTEMPTS = 30


def simulate_rir(t60_s: float, index: int, seed: int) -> Waveform:
    """Return the impulse response of one random room, float32, shape (T,).

    A room whose walls cannot give the T60 (a large one and a short T60) is drawn again.

    Args:
        t60_s: Requested reverberation time; the measured T60 is within 10 % of it.
        index: Which of the rooms with this T60.
        seed: Root seed; the same arguments give the same samples.

    Raises:
        ConfigurationError: None of many rooms has this T60.
    """
    for attempt in range(_MOST_ATTEMPTS):
        names = (f"{float(t60_s)!r}", index, attempt)
        response = _simulate(t60_s, derive_rng(seed, "room", *names), derive_seed(seed, *names))
        if response is not None:
            return response
    smallest = " x ".join(f"{side:g}" for side in _SMALLEST_ROOM_M)
    problem = (
        f"T60 {t60_s:g} s: no shoebox room of {smallest} m or more was found that has it; "
        "0.2 s to 8 s work; give recorded impulse responses for others"
    )
    raise ConfigurationError("the reverberation cannot be simulated", [problem])


def _simulate(t60_s: float, rng: np.random.Generator, ray_seed: int) -> Waveform | None:
    """Return the response of one room, or None where the room cannot have this T60."""
    import pyroomacoustics as pra  # slow to import, and needed for this alone

    size = rng.uniform(_SMALLEST_ROOM_M, _LARGEST_ROOM_M)
    source, microphone = _positions(size, rng)
    try:
        absorption, _ = pra.inverse_sabine(t60_s, size)
    except ValueError:  # the walls would have to absorb more than all energy
        return None
    pra.constants.set("num_threads", 1)  # each thread draws its own rays: more change the result
    pra.random.seed(ray_seed % 2**32)
    room = pra.ShoeBox(
        size,
        fs=SAMPLE_RATE_HZ,
        materials=pra.Material(absorption, 0.1),
        max_order=_IMAGE_ORDER,
        ray_tracing=True,
        air_absorption=False,
    )
    room.set_ray_tracing(
        n_rays=_NUM_RAYS, receiver_radius=0.5, energy_thres=1e-7, time_thres=1.3 * t60_s
    )
    room.add_source(source)
    room.add_microphone(microphone)
    room.compute_rir()
    distance_m = float(np.linalg.norm(source - microphone))
    response = _from_direct_sound(np.asarray(room.rir[0][0]), distance_m)
    try:
        adjusted = adjust_t60(response, t60_s)
        error = abs(measure_t60_s(adjusted) / t60_s - 1)
    except DataError:  # the tail is too short to be measured
        return None
    return adjusted if error <= _T60_TOLERANCE else None


def _positions(size: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw a source and a microphone, away from the walls and from each other."""
    while True:
        source, microphone = rng.uniform(_WALL_DISTANCE_M, size - _WALL_DISTANCE_M, size=(2, 3))
        if np.linalg.norm(source - microphone) >= _MIN_DISTANCE_M:
            return source, microphone


def _from_direct_sound(response: np.ndarray, distance_m: float) -> Waveform:
    """Cut what lies before the direct sound, and scale its peak to one."""
    import pyroomacoustics as pra

    delay = distance_m / _SPEED_OF_SOUND_M_S * SAMPLE_RATE_HZ
    arrival = round(delay) + pra.constants.get("frac_delay_length") // 2
    started = response[arrival:].astype(np.float32)
    return np.asarray(started / np.max(np.abs(started)), dtype=np.float32)
