"""A real search on its own: another model, an adapter, clips, and an LLM whose key is a secret."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact
from prefect.client.schemas.sorting import ArtifactSort
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.support.adapters import write_test_adapter
from tests.support.audio_files import write_class_folders
from tests.support.chat_server import Reply, chat_server
from tests.support.pipeline import ROOT, PrefectService

MARKER = "sk-marker-of-the-test-4711"
SAVE = "from prefect.blocks.system import Secret; Secret(value={!r}).save('search-key')"
VALUES = {
    "conditions": "as_recorded",
    "workers": 1,
    "opro_iterations": 2,
    "opro_candidates": 2,
    "opro_clips": 8,
    "opro_budget": 100,
    "opro_proposers": "llm",
    "optimizer_model": "scripted",
    "optimizer_secret": "search-key",
}


def run(service: PrefectService, folder: Path, **values: object) -> "subprocess.CompletedProcess":
    given = VALUES | {"store": folder / "store", "results": folder / "results"} | values
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    return subprocess.run(
        [sys.executable, "-m", "flows.optimize_prompt", *flags],
        env=service.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def holds_the_key(path: Path) -> bool:
    """Say whether a file holds the key; the server still runs and may just have removed it."""
    try:
        return MARKER.encode() in path.read_bytes()
    except FileNotFoundError:
        return False


def latest_artifact(service: PrefectService, key: str) -> Artifact:
    """Return the artifact that was made last; other tests leave theirs on the same server."""
    with (
        temporary_settings({PREFECT_API_URL: service.api_url}),
        get_client(sync_client=True) as client,
    ):
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
        latest = client.read_artifacts(
            artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=1
        )
    return latest[0]


@pytest.mark.slow
@pytest.mark.server
def test_a_search_asks_the_server_and_the_key_is_found_nowhere(
    prefect_service, tmp_path, small_model_folder
):
    given = {
        "model": small_model_folder,
        "adapter": write_test_adapter(tmp_path / "adapter", small_model_folder),
        "data": write_class_folders(tmp_path / "clips", groups=8),
        "clip_ms": 400,
    }
    environment = prefect_service.environment
    save = [sys.executable, "-c", SAVE.format(MARKER)]
    subprocess.run(save, env=environment, check=True, capture_output=True)

    def script(number, _request):
        if number == 0:
            return Reply("I cannot help with that.")
        word = hashlib.sha256(bytes([number])).hexdigest()[:14]
        return Reply(f"<INS>Consider {word}: is it SPEECH or NONSPEECH?</INS>")

    with chat_server(script) as server:
        done = run(prefect_service, tmp_path, optimizer_url=server.base_url, **given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(server.keys) == {f"Bearer {MARKER}"}
    results = tmp_path / "results" / "optimize-embedded-seed42"
    search = results / "opro_lora"
    found = json.loads((search / "best_prompt.json").read_text())
    assert found["instruction"] in done.stdout.replace("\n", " ")
    asked = [
        json.loads(line) for line in (search / "optimizer_llm.jsonl").read_bytes().splitlines()
    ]
    assert sum(len(event.get("answers", ())) for event in asked) == len(server.requests)
    text = (search / "trajectory.jsonl").read_text()
    assert '"origin": "optimizer LLM, step 1"' in text
    assert "declines: I cannot help with that." in text
    shown, worth = (latest_artifact(prefect_service, key) for key in ("opro-lora", "instructions"))
    assert "optimizer LLM, step 1" in str(shown.data)
    for text in (str(worth.data), " ".join(done.stdout.split())):
        assert "LoRA model: " in text
        assert "has a balanced accuracy over clips of" in text
    assert "What OPRO adds to simpler ways at the same price" in str(worth.data)

    metrics = [
        json.loads((results / name / "metrics.json").read_text())
        for name in ("eval_lora", "eval_lora_opro")
    ]
    assert metrics[1]["instruction"] == found["instruction"]
    assert metrics[0]["n_samples"] == metrics[1]["n_samples"] > 0
    assert "LoRA + OPRO" in (results / "report.html").read_text(encoding="utf-8")

    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    written += [path for path in Path(environment["PREFECT_HOME"]).rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in written)
    assert [path for path in written if holds_the_key(path)] == []
    assert MARKER not in done.stdout + done.stderr
