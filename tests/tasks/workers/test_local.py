"""Workers of this machine: each of the GPU workers sees a GPU of its own."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest
from distributed import Client

from qsm_core.store.spec import StageDefinition
from tasks.workers.local import LocalProfile, local_profile

CARDS = [f"{n}, GPU-{n}abc1234-0000-4d6e-9b7a-1c2d3e4f5a6b, T4, 15360, [N/A]" for n in range(3)]
TRAIN = StageDefinition("train", 1, "nowhere.train", resource="gpu")


def _process_and_device() -> tuple[int, str]:
    return os.getpid(), os.environ["CUDA_VISIBLE_DEVICES"]


def _devices(client: Client) -> dict[str, int]:
    """Return what each worker sees, with its process id; one that is just dying is left out."""
    found: dict[Any, tuple[int, str]] = client.run(_process_and_device, on_error="ignore")
    return {device: pid for pid, device in found.values()}


def test_without_a_gpu_the_classes_share_one_pool(nvidia_smi):
    profile = local_profile(1)
    assert profile.pool(TRAIN) is profile.cpu


def test_gpus_can_be_left_alone(nvidia_smi):
    nvidia_smi.show(*CARDS)
    assert local_profile(1, gpus=0).gpu.resource == "cpu"
    assert local_profile(1, gpus=1).gpu.facts["workers"] == 1
    assert local_profile(1).gpu.facts["workers"] == 3


@pytest.mark.parametrize(
    ("listed", "seen"), [(None, {"0", "1", "2"}), ("2,0", {"2", "0"}), ("GPU-1", {CARDS[1][3:43]})]
)
def test_each_worker_sees_a_gpu_of_its_own(nvidia_smi, monkeypatch, listed, seen):
    nvidia_smi.show(*CARDS)
    if listed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    profile = local_profile(1)
    with profile.pool(TRAIN).make_cluster() as cluster, Client(cluster) as client:
        assert set(_devices(client)) == seen


def test_a_worker_that_died_comes_back_with_its_own_gpu(nvidia_smi):
    nvidia_smi.show(*CARDS[:2])
    profile: LocalProfile = local_profile(1)
    with profile.gpu.make_cluster() as cluster, Client(cluster) as client:
        before = _devices(client)
        os.kill(before["1"], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while (after := _devices(client)) == before or len(after) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert set(after) == {"0", "1"}
    assert after["0"] == before["0"]
