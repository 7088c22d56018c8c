"""A real search on its own: an LLM behind a server, its key from a Secret block."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.support.chat_server import Reply, chat_server
from tests.support.pipeline import ROOT, PrefectService

MARKER = "sk-marker-of-the-test-4711"
SAVE = "from prefect.blocks.system import Secret; Secret(value={!r}).save('search-key')"
VALUES = {
    "train_clips": 4,
    "dev_clips": 8,
    "test_clips": 4,
    "conditions": "as_recorded",
    "workers": 1,
    "opro_iterations": 2,
    "opro_candidates": 2,
    "opro_clips": 8,
    "opro_proposers": "llm",
    "optimizer_model": "scripted",
    "optimizer_secret": "search-key",
}


def run(service: PrefectService, folder: Path, **values: object) -> "subprocess.CompletedProcess":
    given = VALUES | {"store": folder / "store", "results": folder / "results"} | values
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    return subprocess.run(
        [sys.executable, "-m", "flows.optimize_prompt", "--no-evaluate", *flags],
        env=service.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.server
def test_a_search_asks_the_server_and_the_key_is_found_nowhere(prefect_service, tmp_path):
    environment = prefect_service.environment
    save = [sys.executable, "-c", SAVE.format(MARKER)]
    subprocess.run(save, env=environment, check=True, capture_output=True)

    def script(number, _request):
        if number % 3 == 2:
            return Reply("I cannot help with that.")
        return Reply(f"<INS>Attempt {number}: is it SPEECH or NONSPEECH?</INS>")

    with chat_server(script) as server:
        done = run(prefect_service, tmp_path, optimizer_url=server.base_url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(server.keys) == {f"Bearer {MARKER}"}
    search = tmp_path / "results" / "optimize-embedded-seed42" / "opro_base"
    found = json.loads((search / "best_prompt.json").read_text())
    assert found["instruction"] in done.stdout.replace("\n", " ")
    asked = [
        json.loads(line) for line in (search / "optimizer_llm.jsonl").read_bytes().splitlines()
    ]
    assert sum(len(event.get("answers", ())) for event in asked) == len(server.requests)
    told = (search / "trajectory.jsonl").read_text()
    assert '"origin": "optimizer LLM, step 1"' in told
    assert "does not say how to answer" in told
    with (
        temporary_settings({PREFECT_API_URL: prefect_service.api_url}),
        get_client(sync_client=True) as client,
    ):
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=["opro-base"]))
        (shown,) = client.read_artifacts(artifact_filter=wanted)
    assert "optimizer LLM, step 1" in str(shown.data)

    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    written += [path for path in Path(environment["PREFECT_HOME"]).rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in written)
    assert [path for path in written if MARKER.encode() in path.read_bytes()] == []
    assert MARKER not in done.stdout + done.stderr
