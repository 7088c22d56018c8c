"""The recipe of the embedded model, in its tiny setting."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from qsm_core.store.digests import digest_folder
from recipes.embedded_model.bank import build_bank
from recipes.embedded_model.recipe import TINY, build_embedded_model

pytestmark = pytest.mark.slow  # minutes in all: not for `make quick`

ONE_THREAD = dataclasses.replace(TINY, threads=1)


def build(folder, settings=ONE_THREAD, **options):
    messages = []
    build_embedded_model(
        folder, settings, lambda done, total, text: messages.append(text), processes=1, **options
    )
    return messages


def test_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    threads = torch.get_num_threads()
    messages = build(tmp_path / "first")
    build(tmp_path / "second")
    build(tmp_path / "third", dataclasses.replace(ONE_THREAD, seed=1))
    first, second, third = (digest_folder(tmp_path / n) for n in ("first", "second", "third"))
    assert first == second
    assert first != third
    assert messages[-1] == "done"
    assert torch.get_num_threads() == threads


def test_kept_encoder_gives_the_same_model(tmp_path):
    build(tmp_path / "first", work=tmp_path / "work")
    assert len(list((tmp_path / "work").iterdir())) == 1
    messages = build(tmp_path / "second", work=tmp_path / "work")
    assert not any("bank" in message for message in messages)
    assert digest_folder(tmp_path / "first") == digest_folder(tmp_path / "second")


@pytest.mark.slow
def test_number_of_processes_changes_nothing_in_the_bank():
    alone, together = (build_bank(3, 60, 60, processes=count) for count in (1, 2))
    assert torch.equal(alone.speech, together.speech)
    assert torch.equal(alone.other, together.other)


def test_bank_holds_finite_spectra_with_sound_in_them():
    bank = build_bank(3, 12, 12, processes=1)
    for part in (bank.speech, bank.other):
        assert part.shape == (12, 200, 128)
        assert np.isfinite(part.float().numpy()).all()
        assert (part.float().amax(dim=(1, 2)) > -3).all()
