"""The NVIDIA GPUs that CUDA shows to this process, found without loading CUDA or torch.

`nvidia-smi` lists the cards of the machine; `CUDA_VISIBLE_DEVICES` and `CUDA_DEVICE_ORDER` are read
as CUDA reads them (CUDA C++ Programming Guide, "CUDA Environment Variables"; MIG User Guide, "CUDA
Device Enumeration").

A card may be partitioned into MIG instances. CUDA shows one instance at most, and no whole card
beside it.
"""

from __future__ import annotations

import csv
import logging
import os
import platform
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache

import psutil

logger = logging.getLogger(__name__)

_FIELDS = "index,uuid,name,memory.total,mig.mode.current"
_TIMEOUT_S = 20.0
_MIB = 2**20
_GB = 10**9
# From `nvidia-smi --list-gpus`. The nominal memory of an instance is part of its profile's name.
_CARD_LINE = re.compile(r"GPU (?P<index>\d+): ")
_INSTANCE_LINE = re.compile(
    r"\s+MIG (?P<profile>\S*?(?P<gb>\d+)gb\S*)\s+Device\s+\d+: \(UUID: (?P<uuid>MIG-[^)]+)\)"
)


@dataclass(frozen=True)
class Gpu:
    """A GPU, or one MIG instance of it.

    Args:
        index: Of the card in nvidia-smi, which counts in PCI order.
        uuid: `GPU-...` or `MIG-...`; empty where it is not known which card CUDA means.
        name: Product name.
        memory_bytes: Its memory; that of the machine where the two share it.
        selector: The value of CUDA_VISIBLE_DEVICES that shows this GPU alone.
    """

    index: int
    uuid: str
    name: str
    memory_bytes: int
    selector: str

    @property
    def is_mig(self) -> bool:
        """Whether this is a MIG instance."""
        return self.uuid.startswith("MIG-")


def visible_gpus() -> tuple[Gpu, ...]:
    """Return the GPUs that CUDA shows to this process; nvidia-smi runs once in a process."""
    installed = _installed_gpus()
    first_of_card: dict[int, Gpu] = {}
    for gpu in installed:
        first_of_card.setdefault(gpu.index, gpu)
    cards = list(first_of_card.values())
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    entries = [str(n) for n in range(len(cards))] if listed is None else _entries(listed)
    visible: list[Gpu] = []
    for entry in entries:
        named = _by_index(int(entry), cards) if entry.isdigit() else _by_uuid(entry, installed)
        if named is None:  # CUDA ignores what follows an entry that is not valid
            break
        if named in visible:  # and the whole list where one GPU is named twice
            return ()
        visible.append(named)
    if entries and entries[0].isdigit():
        visible = _named_by_index(visible, cards)
    instances = [gpu for gpu in visible if gpu.is_mig]
    return tuple(instances[:1] or visible)


def machine() -> str:
    """Return the names of the visible GPUs, or the kind of CPU and the host."""
    names = [gpu.name for gpu in visible_gpus()]
    return "; ".join(names) or f"{platform.machine()} CPU of {platform.node()}"


def model_memory_bytes(device: str) -> int:
    """Return the memory that a model on `device` ("auto", "cpu", "cuda") can use at most.

    That of the smallest visible GPU, since any of them may get the model; the machine's where there
    is none.
    """
    gpus = () if device == "cpu" else visible_gpus()
    total = int(psutil.virtual_memory().total)
    return min((gpu.memory_bytes for gpu in gpus), default=total)


def has_gpu(device: str) -> bool:
    """Say whether a model on `device` runs on a GPU of this machine."""
    return device != "cpu" and bool(visible_gpus())


def _entries(listed: str) -> list[str]:
    """Return the entries of CUDA_VISIBLE_DEVICES up to the first that is malformed.

    The first entry decides whether all are indices, UUIDs of cards or UUIDs of MIG instances. Of an
    index CUDA reads the leading digits. A repeated entry makes the whole list void.
    """
    kind = next((kind for kind in ("GPU-", "MIG-") if listed.startswith(kind)), None)
    entries: list[str] = []
    for text in listed.split(","):
        if kind is None:
            number = re.match(r"\s*\+?(\d+)", text)
            entry = str(int(number[1])) if number else ""
        else:
            entry = text if text.startswith(kind) else ""
        if not entry:
            break
        if entry in entries:
            return []
        entries.append(entry)
    return entries


def _by_index(index: int, cards: Sequence[Gpu]) -> Gpu | None:
    return cards[index] if index < len(cards) else None


def _by_uuid(start: str, installed: Sequence[Gpu]) -> Gpu | None:
    """Return the one GPU or MIG instance whose UUID begins so, None where there are more."""
    found = [gpu for gpu in installed if gpu.uuid.startswith(start)]
    return found[0] if len(found) == 1 else None


def _named_by_index(visible: list[Gpu], cards: Sequence[Gpu]) -> list[Gpu]:
    """Return GPUs that were named by index, without guessing which cards these are.

    Unless CUDA_DEVICE_ORDER is PCI_BUS_ID, CUDA counts from the fastest card by a rule of its own
    that nvidia-smi does not show. On unequal cards, an index may then mean any of them, so each is
    reported with the least memory of all. Where all cards are visible, it makes no difference.
    """
    indices = [str(cards.index(gpu)) for gpu in visible]
    equal = len({(gpu.name, gpu.memory_bytes) for gpu in cards}) <= 1
    in_pci_order = os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    if equal or in_pci_order or len(visible) == len(cards):
        numbered = zip(visible, indices, strict=True)
        return [gpu if gpu.is_mig else replace(gpu, selector=index) for gpu, index in numbered]
    name = " or ".join(dict.fromkeys(gpu.name for gpu in cards))
    least = min(gpu.memory_bytes for gpu in cards)
    return [Gpu(int(index), "", name, least, index) for index in indices]


@lru_cache(maxsize=1)
def _installed_gpus() -> tuple[Gpu, ...]:
    """Return the GPUs of this machine in PCI order; of a partitioned one, its MIG instances."""
    text = _nvidia_smi(f"--query-gpu={_FIELDS}", "--format=csv,noheader,nounits")
    rows = [row for row in csv.reader(text.splitlines(), skipinitialspace=True) if len(row) == 5]
    partitioned = {row[0] for row in rows if row[4] == "Enabled"}
    instances = list(_mig_instances(_nvidia_smi("--list-gpus"))) if partitioned else []
    gpus: list[Gpu] = []
    for index, uuid, name, mib, _ in rows:
        if index in partitioned:
            gpus += [one for one in instances if str(one.index) == index]
        elif index.isdigit():  # a card that has failed says `[Unknown Error]` in every field
            gpus.append(Gpu(int(index), uuid, name, _memory_bytes(mib), uuid))
    return tuple(gpus)


def _memory_bytes(mib: str) -> int:
    """Return bytes; a GPU that shares the memory of the machine says `[N/A]`."""
    return int(mib) * _MIB if mib.isdigit() else int(psutil.virtual_memory().total)


def _mig_instances(listing: str) -> Iterator[Gpu]:
    """Yield the MIG instances that are listed below their cards."""
    index = -1
    for line in listing.splitlines():
        card, instance = _CARD_LINE.match(line), _INSTANCE_LINE.match(line)
        if card:
            index = int(card["index"])
        if instance:
            name, uuid = f"MIG {instance['profile']}", instance["uuid"]
            yield Gpu(index, uuid, name, int(instance["gb"]) * _GB, uuid)


def _nvidia_smi(*options: str) -> str:
    """Return what nvidia-smi prints; nothing where there is none, or where it fails or hangs."""
    try:
        process = subprocess.Popen(
            ["nvidia-smi", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    except OSError:
        return ""
    try:
        text, _ = process.communicate(timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # one that is stuck in the driver never ends
            process.wait(timeout=1)
        if process.stdout is not None:
            process.stdout.close()
        logger.warning("nvidia-smi did not answer within %.0f s, so no GPU is used", _TIMEOUT_S)
        return ""
    if process.returncode != 0:
        logger.warning("nvidia-smi failed, so no GPU is used: %s", " ".join(text.split()))
        return ""
    return text
