"""Audio embeddings kept on disk, so that the same clips are not encoded again by another stage.

Base model and adapter, with and without a better instruction, hear the same renderings through
the same encoder. An entry is a whole batch, found by the content of its clips in their order: a
batch that is read back has the very bits that computing it again would give, which a clip from
another batch might not. The name also contains a digest of everything that the embeddings depend
on: the encoder's and projector's weights (including an adapter in them), their number format and
device, the code and the libraries. So no entry is ever out of date, and the folder may be deleted
at any time.
"""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from qsm_core.models.loaded_audio_llm import AudioLLM
from qsm_core.store.closure import module_digest

DEFAULT_LIMIT_BYTES = 8 * 2**30
_NAME = "embeddings"
_LIBRARIES = ("torch", "transformers", "peft", "bitsandbytes", "numpy")
_CODE = ("qsm_core.models.encoder", "qsm_core.models.quantization")
_TARGET_SHARE = 0.8  # of the limit, when old batches are removed


class EncoderCache:
    """Batches of audio embeddings of one encoder.

    Attributes:
        hits: Batches that were found.
        misses: Batches that were not found.
        problem: Why batches are no longer kept, such as a full disk; None if they are.
    """

    def __init__(
        self, folder: Path, encoder_digest: str, limit_bytes: int = DEFAULT_LIMIT_BYTES
    ) -> None:
        """Use `folder`, created if missing.

        Args:
            folder: Shared by all encoders and processes.
            encoder_digest: As `encoder_digest` computes it.
            limit_bytes: Size of the folder above which the batches that were not used for the
                longest time are removed.
        """
        self._folder = folder
        self._digest = encoder_digest
        self._limit_bytes = limit_bytes
        self.hits = self.misses = 0
        self.problem: str | None = None

    def load(self, clips: Sequence[np.ndarray]) -> Tensor | None:
        """Return the embeddings of a batch, (B, A, H), or None if they are not cached."""
        path = self._path(clips)
        try:
            found = load_file(path)[_NAME]
            os.utime(path)  # the time of its last use, by which old batches are removed
        except (OSError, SafetensorError, KeyError):  # absent, damaged, or just removed
            self.misses += 1
            return None
        self.hits += 1
        return found

    def store(self, clips: Sequence[np.ndarray], embeddings: Tensor) -> None:
        """Store the embeddings of a batch, atomically; after a failure nothing more is stored."""
        if self.problem is not None:
            return
        path = self._path(clips)
        temporary = path.with_suffix(f".{secrets.token_hex(4)}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file({_NAME: embeddings.contiguous()}, temporary)
            temporary.replace(path)
            self._remove_oldest()
        except (OSError, SafetensorError) as error:
            self.problem = f"audio embeddings are not kept: {error}"
            temporary.unlink(missing_ok=True)

    def _path(self, clips: Sequence[np.ndarray]) -> Path:
        content = hashlib.sha256(self._digest.encode())
        for clip in clips:
            content.update(hashlib.sha256(np.ascontiguousarray(clip).data).digest())
        return self._folder / f"{content.hexdigest()}.safetensors"

    def _remove_oldest(self) -> None:
        """Free space if the folder has grown beyond its limit."""
        files = [(entry.stat(), entry.path) for entry in os.scandir(self._folder)]
        size = sum(stat.st_size for stat, _ in files)
        if size <= self._limit_bytes:
            return
        for stat, path in sorted(files, key=lambda entry: entry[0].st_mtime):
            Path(path).unlink(missing_ok=True)
            size -= stat.st_size
            if size <= _TARGET_SHARE * self._limit_bytes:
                return


def open_encoder_cache(llm: AudioLLM, folder: str | Path | None) -> EncoderCache | None:
    """Return the cache in `folder` for this model's encoder; None where no folder is given."""
    return None if folder is None else EncoderCache(Path(folder), encoder_digest(llm))


def encoder_digest(llm: AudioLLM) -> str:
    """Return a digest of all that audio embeddings depend on, besides clips and batch."""
    digest = hashlib.sha256()
    core = llm.core.model
    on_gpu = llm.device.type == "cuda"
    device = [torch.cuda.get_device_name(llm.device)] if on_gpu else _cpu()
    facts = [*device, str(llm.dtype), llm.quantization]
    facts.append(str(core.audio_tower.config._attn_implementation))  # noqa: SLF001
    facts += [f"{name} {version(name)}" for name in _LIBRARIES]
    facts += [module_digest(name) for name in _CODE]
    facts.append(llm.feature_extractor.to_json_string())
    digest.update("\n".join(facts).encode())
    for part in (core.audio_tower, core.multi_modal_projector):
        for name, value in sorted(part.state_dict().items()):
            digest.update(name.encode())
            raw = value.detach().contiguous().flatten().view(torch.uint8).cpu()
            digest.update(raw.numpy().data)
    return digest.hexdigest()


def _cpu() -> list[str]:
    """Return what decides in which order a CPU adds; hosts that share a store may differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    name = next((line for line in lines if line.startswith("model name")), platform.machine())
    return [name, torch.backends.cpu.get_cpu_capability(), str(torch.get_num_threads())]
