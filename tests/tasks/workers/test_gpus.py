"""Which GPUs CUDA shows to a process, read from an nvidia-smi that prints real output.

Torch reads CUDA_VISIBLE_DEVICES too, to count GPUs without CUDA: it is the outside reference here.
"""

from __future__ import annotations

import time

import psutil
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.workers import gpus
from tasks.workers.gpus import Gpu, has_gpu, machine, model_memory_bytes, visible_gpus

MIB, GIB = 2**20, 2**30
SMALL = "0, GPU-5a1f3b2c-0000-4d6e-9b7a-1c2d3e4f5a6b, NVIDIA GeForce RTX 2070 SUPER, 8192, [N/A]"
LARGE = "1, GPU-5a99e7d4-1111-4d6e-9b7a-1c2d3e4f5a6b, NVIDIA A100-SXM4-80GB, 81920, Disabled"
UUIDS = [SMALL.split(", ")[1], LARGE.split(", ")[1]]
ALIKE = [f"{n}, GPU-{n}abc1234-0000-4d6e-9b7a-1c2d3e4f5a6b, T4, 15360, [N/A]" for n in range(4)]
# As in NVIDIA's MIG User Guide.
PARTITIONED = "0, GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0, NVIDIA A100-SXM4-40GB, 40960, Enabled"
INSTANCES = [
    "MIG-c7384736-a75d-5afc-978f-d2f1294409fd",
    "MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d",
]
LISTING = f"""\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0)
  MIG 3g.20gb     Device  0: (UUID: {INSTANCES[0]})
  MIG 1g.5gb      Device  1: (UUID: {INSTANCES[1]})
GPU 1: NVIDIA A100-SXM4-80GB (UUID: {UUIDS[1]})
"""


@pytest.fixture
def show(nvidia_smi, monkeypatch):
    """Give the machine cards, and this process the variables of CUDA."""

    def show(*cards: str, devices: str | None = None, order: str = "", listing: str = ""):
        nvidia_smi.show(*cards, listing=listing)
        if devices is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", devices)
        if order:
            monkeypatch.setenv("CUDA_DEVICE_ORDER", order)
        return visible_gpus()

    return show


def test_all_cards_are_visible_unless_the_environment_says_otherwise(show):
    assert show(SMALL, LARGE) == (
        Gpu(0, UUIDS[0], "NVIDIA GeForce RTX 2070 SUPER", 8192 * MIB, "0"),
        Gpu(1, UUIDS[1], "NVIDIA A100-SXM4-80GB", 81920 * MIB, "1"),
    )
    assert machine() == "NVIDIA GeForce RTX 2070 SUPER; NVIDIA A100-SXM4-80GB"
    assert model_memory_bytes("auto") == 8 * GIB
    assert model_memory_bytes("cpu") == psutil.virtual_memory().total
    assert has_gpu("cuda")
    assert not has_gpu("cpu")


def test_a_model_may_fill_the_one_card_that_is_visible(show):
    (gpu,) = show(SMALL, LARGE, devices=UUIDS[1])
    assert (gpu.name, gpu.selector) == ("NVIDIA A100-SXM4-80GB", UUIDS[1])
    assert model_memory_bytes("auto") == 80 * GIB


@pytest.mark.parametrize(
    ("devices", "visible"),
    [
        ("1", [1]),
        ("2,0", [2, 0]),
        (" 1 , 2", [1, 2]),
        ("1card,2", [1, 2]),
        ("0,2,-1,1", [0, 2]),  # the example of the CUDA C++ Programming Guide
        ("0,9,1", [0]),
        ("0,GPU-2abc1234", [0]),
        ("GPU-2abc1234,GPU-0", [2, 0]),
        ("GPU-2abc1234,1", [2]),
        ("GPU-1a,GPU-7,GPU-0a", [1]),
        ("GPU-", []),
        ("0,0", []),
        ("GPU-1,GPU-1abc", []),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),  # as SLURM writes it for a job without a GPU
        ("MIG-c7384736", []),
    ],
)
def test_the_rules_of_cuda_visible_devices(show, devices, visible):
    assert [gpu.index for gpu in show(*ALIKE, devices=devices)] == visible
    assert has_gpu("auto") is bool(visible)


def test_a_beginning_that_two_cards_share_names_none(show):
    assert show(SMALL, LARGE, devices="GPU-5a") == ()
    assert [gpu.index for gpu in show(SMALL, LARGE, devices="GPU-5a9")] == [1]


@given(
    st.lists(
        st.sampled_from(["0", "1", "3", "5", "-1", "", " 2", "1x", "x", "GPU-", "GPU-0", "GPU-1abc",
                         "GPU-2abc1234", "GPU-9"]),
        max_size=4,
    )
)  # fmt: skip
def test_torch_sees_the_same_devices(entries):
    """By torch's own reading, which needs the UUIDs of the cards but no CUDA."""
    uuids = [line.split(", ")[1] for line in ALIKE]
    listed = ",".join(entries)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", listed)
        cards = tuple(Gpu(n, uuid, "T4", GIB, uuid) for n, uuid in enumerate(uuids))
        patch.setattr(gpus, "_installed_gpus", lambda: cards)
        expected = torch.cuda._parse_visible_devices()
        if expected and isinstance(expected[0], str):
            expected = torch.cuda._transform_uuid_to_ordinals(expected, uuids)
        too_large = [place for place, index in enumerate(expected) if index >= len(uuids)]
        expected = expected[: too_large[0]] if too_large else expected
        assert [gpu.index for gpu in visible_gpus()] == expected


def test_an_index_among_unequal_cards_is_not_guessed(show):
    """CUDA's card 0 is its fastest, whichever that is; nvidia-smi's is the first on the bus."""
    (gpu,) = show(SMALL, LARGE, devices="1")
    assert gpu.memory_bytes == 8 * GIB
    assert gpu.name == "NVIDIA GeForce RTX 2070 SUPER or NVIDIA A100-SXM4-80GB"
    assert (gpu.uuid, gpu.selector) == ("", "1")
    (gpu,) = show(SMALL, LARGE, devices="1", order="PCI_BUS_ID")
    assert (gpu.memory_bytes, gpu.uuid) == (80 * GIB, UUIDS[1])


def test_no_card_is_left_out_where_all_are_named(show):
    assert [gpu.memory_bytes for gpu in show(SMALL, LARGE, devices="1,0")] == [80 * GIB, 8 * GIB]


@pytest.mark.parametrize("devices", [INSTANCES[1], "MIG-a28a"])
def test_a_mig_instance_has_its_own_memory(show, devices):
    (gpu,) = show(PARTITIONED, LARGE, listing=LISTING, devices=devices)
    assert (gpu.name, gpu.selector) == ("MIG 1g.5gb", INSTANCES[1])
    assert model_memory_bytes("cuda") == 5 * 10**9


@pytest.mark.parametrize("devices", [None, "0", "1,0", ",".join(INSTANCES)])
def test_cuda_shows_one_mig_instance_and_no_card_beside_it(show, devices):
    (gpu,) = show(PARTITIONED, LARGE, listing=LISTING, devices=devices, order="PCI_BUS_ID")
    assert (gpu.uuid, gpu.selector, gpu.memory_bytes) == (INSTANCES[0], INSTANCES[0], 20 * 10**9)


def test_a_partitioned_card_without_instances_is_no_gpu(show):
    bare = "GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-e86cb44c-6756-fd30-cd4a-1e6da3caf9b0)\n"
    assert show(PARTITIONED, listing=bare) == ()
    assert [gpu.index for gpu in show(PARTITIONED, LARGE, listing=bare)] == [1]


def test_a_gpu_that_shares_the_memory_of_the_machine(show):
    (gpu,) = show("0, GPU-0, NVIDIA GB10, [N/A], [N/A]")
    assert gpu.memory_bytes == psutil.virtual_memory().total


def test_a_card_that_has_failed_is_left_out(show):
    broken = ", ".join(["[Unknown Error]"] * 5)
    assert [gpu.index for gpu in show(broken, LARGE)] == [1]


def test_nvidia_smi_runs_once(nvidia_smi, show):
    show(SMALL, LARGE)
    machine(), model_memory_bytes("auto"), has_gpu("auto"), visible_gpus()
    assert len(nvidia_smi.calls) == 1


def test_a_machine_without_nvidia_smi_has_no_gpu(nvidia_smi, monkeypatch):
    monkeypatch.setenv("PATH", str(nvidia_smi.folder / "empty"))
    assert visible_gpus() == ()
    assert "CPU of" in machine()
    assert model_memory_bytes("auto") == psutil.virtual_memory().total


FAILURE = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."


def test_a_driver_that_fails_leaves_no_gpu_and_a_warning(nvidia_smi, caplog):
    nvidia_smi.replace(f'#!/bin/sh\necho "{FAILURE}"\nexit 9\n')
    assert visible_gpus() == ()
    assert FAILURE in caplog.text


def test_an_nvidia_smi_that_hangs_is_given_up(nvidia_smi, monkeypatch, caplog):
    monkeypatch.setattr(gpus, "_TIMEOUT_S", 0.5)
    pids = nvidia_smi.folder / "pid"
    nvidia_smi.replace(f"#!/bin/bash\necho $$ > {pids}\nexec sleep 600\n")
    began = time.monotonic()
    assert visible_gpus() == ()
    assert time.monotonic() - began < 30
    assert "did not answer" in caplog.text
    assert not psutil.pid_exists(int(pids.read_text())), "it is still running"
