"""An nvidia-smi for machines without a GPU: a program on the PATH with the output of NVIDIA's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.workers import gpus

_PROGRAM = """\
#!/bin/bash
here=$(dirname "$0")
echo "$1" >> "$here/calls.txt"
case "$1" in
  --query-gpu=index,uuid,name,memory.total,mig.mode.current)
    [ "$2" = --format=csv,noheader,nounits ] && exec cat "$here/cards.csv" ;;
  --list-gpus) exec cat "$here/listing.txt" ;;
esac
echo "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help."
exit 1
"""


class NvidiaSmi:
    """The program, and what it prints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.replace(_PROGRAM)
        self.show()

    def show(self, *cards: str, listing: str = "") -> None:
        """Let the machine have these cards: lines of the CSV, and the text of --list-gpus."""
        (self.folder / "cards.csv").write_text("".join(f"{card}\n" for card in cards))
        (self.folder / "listing.txt").write_text(listing)
        gpus._installed_gpus.cache_clear()

    def replace(self, program: str) -> None:
        """Put another program in its place."""
        path = self.folder / "nvidia-smi"
        path.write_text(program)
        path.chmod(0o755)
        gpus._installed_gpus.cache_clear()

    @property
    def calls(self) -> list[str]:
        """The first option of each call."""
        return (self.folder / "calls.txt").read_text().splitlines()


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NvidiaSmi]:
    """A machine without cards, whose driver and nvidia-smi are there."""
    folder = tmp_path / "nvidia"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    yield NvidiaSmi(folder)
    gpus._installed_gpus.cache_clear()
