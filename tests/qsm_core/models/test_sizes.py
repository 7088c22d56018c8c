"""Sizes of models and adapters, from the headers of their files."""

import numpy as np
from safetensors.numpy import save_file

from qsm_core.models.sizes import adapter_bytes, stored_parameters


def test_parameters_of_all_files_are_counted(tmp_path) -> None:
    save_file({"a": np.zeros((3, 4)), "b": np.zeros(5)}, tmp_path / "model-1.safetensors")
    save_file({"c": np.zeros((2, 2, 2))}, tmp_path / "model-2.safetensors")
    assert stored_parameters(tmp_path) == 12 + 5 + 8
    assert adapter_bytes(tmp_path) is None


def test_an_adapter_has_a_size(tmp_path) -> None:
    file = tmp_path / "adapter_model.safetensors"
    save_file({"a": np.zeros((16, 8))}, file)
    assert stored_parameters(tmp_path) == 128
    assert adapter_bytes(tmp_path) == file.stat().st_size


def test_what_cannot_be_read_has_no_size(tmp_path) -> None:
    assert stored_parameters(tmp_path) is None
    (tmp_path / "model.safetensors").write_bytes(b"version https://git-lfs")
    assert stored_parameters(tmp_path) is None
