import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from qsm_core.errors import ModelError
from qsm_core.models.identity import model_input, resolve_model_folder
from qsm_core.store.digests import digest_folder
from tests.support.small_model import build_small_model

COMMIT = "0a095220c30b7b31434169c3086508ef3ea5bf0a"


@pytest.fixture
def model_copy(tmp_path, small_model_folder):
    return shutil.copytree(small_model_folder, tmp_path / "model")


def test_digest_is_that_of_the_content(small_model_folder, model_copy, tmp_path):
    found = model_input(model_copy)
    assert found.path == model_copy
    assert found.digest == model_input(str(small_model_folder)).digest
    assert found.digest == digest_folder(model_copy)
    other = build_small_model(tmp_path / "other", seed=8)
    assert model_input(other).digest != found.digest


def test_digest_needs_no_torch(small_model_folder):
    code = (
        "import sys; from qsm_core.models.identity import model_input;"
        f"print(model_input({str(small_model_folder)!r}).digest);"
        "assert not {'torch', 'transformers'} & set(sys.modules), 'heavy import'"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == digest_folder(small_model_folder)


def test_what_is_missing_is_reported_together(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "whisper"}))
    with pytest.raises(ModelError) as caught:
        resolve_model_folder(tmp_path)
    text = str(caught.value)
    assert "model_type 'whisper': supported are 'qwen2_audio', 'audioflamingo3'" in text
    assert "model.safetensors (or model.safetensors.index.json with its shards) is missing" in text
    assert "tokenizer.json is missing" in text
    assert "processor_config.json (or preprocessor_config.json) is missing" in text
    assert "Qwen/Qwen2-Audio-7B-Instruct" in text


def test_a_missing_shard_is_named(model_copy):
    (model_copy / "model.safetensors").rename(model_copy / "part-1.safetensors")
    weight_map = {"a": "part-1.safetensors", "b": "part-2.safetensors"}
    index = model_copy / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(ModelError, match=r"\n  - part-2.safetensors is missing\n"):
        resolve_model_folder(model_copy)
    index.write_text("{}")
    with pytest.raises(ModelError, match="has no readable weight_map"):
        resolve_model_folder(model_copy)


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-1],
        lambda whole: whole[:100],
        lambda whole: b"",
        lambda whole: b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n",
    ],
)
def test_weights_that_were_cut_off_are_reported_before_they_are_loaded(model_copy, damage):
    weights = model_copy / "model.safetensors"
    weights.write_bytes(damage(weights.read_bytes()))
    with pytest.raises(ModelError, match=r"model\.safetensors is not whole .*download it again"):
        resolve_model_folder(model_copy)


@pytest.mark.parametrize("method", ["gptq", "awq", "bitsandbytes", "compressed-tensors"])
def test_weights_that_were_saved_quantized_are_reported(model_copy, method):
    config = json.loads((model_copy / "config.json").read_text())
    config["quantization_config"] = {"quant_method": method, "bits": 4}
    (model_copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=f"stored in {method} form.*plain weights"):
        resolve_model_folder(model_copy)


def test_packed_weights_are_known_by_their_names(model_copy):
    weights = model_copy / "model.safetensors"
    save_file({**load_file(weights), "model.layers.0.qweight": np.zeros((4, 4), np.int32)}, weights)
    with pytest.raises(ModelError, match="stored in GPTQ or AWQ form"):
        resolve_model_folder(model_copy)


def test_what_is_missing_of_a_tokenizer_or_cut_off_is_reported(model_copy):
    tokenizer = model_copy / "tokenizer.json"
    text = tokenizer.read_text()
    tokenizer.write_text(text[:-1])
    with pytest.raises(ModelError, match=r"tokenizer\.json is not whole"):
        resolve_model_folder(model_copy)
    tokenizer.rename(model_copy / "vocab.json")
    (model_copy / "processor_config.json").write_text("")
    with pytest.raises(ModelError) as caught:
        resolve_model_folder(model_copy)
    assert "merges.txt (or tokenizer.json) is missing" in str(caught.value)
    assert "vocab.json is not whole" in str(caught.value)
    assert "processor_config.json is not whole (0 bytes" in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ModelError, match="nowhere is no folder"):
        resolve_model_folder(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="a/b/c is no folder"):
        resolve_model_folder("a/b/c")


@pytest.mark.parametrize("revision", [None, "main", "v1", COMMIT[:12], COMMIT.upper()])
def test_a_hub_model_has_to_be_pinned_by_its_commit(revision):
    with pytest.raises(ModelError, match="needs revision = the 40-digit commit hash"):
        resolve_model_folder("Qwen/Qwen2-Audio-7B-Instruct", revision)


def test_without_network_the_error_says_how_to_get_the_model(tmp_path):
    """In a process of its own: the library reads its cache folder and offline switch at import."""
    code = (
        "from qsm_core.models.identity import model_input\n"
        "from qsm_core.errors import ModelError\n"
        "try:\n"
        f"    model_input('Qwen/Qwen2-Audio-7B-Instruct', {COMMIT!r})\n"
        "except ModelError as error:\n"
        "    print(error)\n"
    )
    environment = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PATH": ""}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert "HF_HUB_OFFLINE forbids to fetch it" in found.stdout
    assert f"hf download Qwen/Qwen2-Audio-7B-Instruct --revision {COMMIT}" in found.stdout


def test_a_hub_model_in_the_cache_is_found_and_named_by_its_commit(tmp_path, small_model_folder):
    snapshot = tmp_path / "hub" / "models--some--model" / "snapshots" / COMMIT
    shutil.copytree(small_model_folder, snapshot)
    code = (
        "from qsm_core.models.identity import model_input\n"
        f"found = model_input('some/model', {COMMIT!r})\n"
        "print(found.path, found.digest)\n"
    )
    environment = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PATH": ""}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    path, digest = found.stdout.split()
    assert path == str(snapshot)
    assert len(digest) == 64
    assert digest != digest_folder(snapshot)
