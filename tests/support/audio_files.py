"""Real audio files for tests: small labelled trees in the forms that people have."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 16_000


def noise(name: str, seconds: float = 1.0, rate_hz: int = RATE_HZ, channels: int = 1) -> np.ndarray:
    """Return noise of its own for every name, shape (T,) or (T, channels), peak about 0.4."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    shape = (round(seconds * rate_hz), channels)
    samples = np.clip(rng.standard_normal(shape) * 0.1, -0.9, 0.9)
    return samples[:, 0] if channels == 1 else samples


def write_audio(
    path: Path,
    samples: np.ndarray | None = None,
    rate_hz: int = RATE_HZ,
    subtype: str | None = None,
) -> Path:
    """Write an audio file and its folders; without samples, one second of noise of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if samples is None:
        samples = noise(path.stem, rate_hz=rate_hz)
    soundfile.write(path, samples, rate_hz, subtype=subtype)
    return path


def write_class_folders(folder: Path, groups: int = 5, clips: int = 2) -> Path:
    """Write speech/ and nonspeech/ with `groups` groups of `clips` clips of one second each."""
    for label in ("speech", "nonspeech"):
        for group in range(groups):
            for clip in range(clips):
                write_audio(folder / label / f"{label[0]}{group:02d}_{clip}.wav")
    return folder


def write_esc50(folder: Path) -> Path:
    """Write a small ESC-50: 5 s files, padded with digital silence as many of the real ones are."""
    names = [
        ("1-100032-A-0.wav", "dog", True),
        ("1-100032-B-0.wav", "dog", True),
        ("2-37806-A-40.wav", "helicopter", False),
        ("3-55555-A-26.wav", "laughing", False),
    ]
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    for name, category, esc10 in names:
        fold, recording, take, target = Path(name).stem.split("-")
        samples = np.zeros(5 * 22_050)
        samples[22_050 // 2 : 2 * 22_050] = noise(name, 1.5, 22_050)
        write_audio(folder / "audio" / name, samples, 22_050)
        lines.append(f"{name},{fold},{target},{category},{esc10},{recording},{take}")
    (folder / "meta").mkdir()
    (folder / "meta" / "esc50.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_voxconverse(folder: Path, recordings: tuple[str, ...] = ("abjxc", "afjiv")) -> Path:
    """Write a small VoxConverse: 12 s recordings, speech from 1 to 5 s and from 6 to 8.5 s."""
    for name in recordings:
        write_audio(folder / "audio" / f"{name}.wav", noise(name, 12.0))
        turns = [(1.0, 2.5, 0), (3.0, 2.0, 1), (6.0, 2.5, 0), (9.0, 0.4, 1)]
        text = "".join(
            f"SPEAKER {name} 1 {start:.6f} {duration:.6f} <NA> <NA> spk{who:02d} <NA> <NA>\n"
            for start, duration, who in turns
        )
        (folder / "dev").mkdir(exist_ok=True)
        (folder / "dev" / f"{name}.rttm").write_text(text)
    return folder
