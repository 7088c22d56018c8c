import os

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from tasks.workers.progress import LivePage, ProgressArtifact


@pytest.mark.server
def test_a_page_is_one_artifact_that_changes(prefect_api, tmp_path):
    path = tmp_path / "live.md"

    @flow
    def show():
        page = LivePage("my stage", path)
        page.show()  # not written yet
        for number, text in enumerate(["first", "second"]):
            path.write_text(text)
            os.utime(path, (number, number))
            page.show()
            page.show()

        # What a stage showed last is not what it ended with, and its work folder is gone.
        last = tmp_path / "search.md"
        last.write_text("last")
        progress = ProgressArtifact("search", every_s=0.0, live=path)
        progress(1, 2, "clips scored")
        progress.wait()
        path.unlink()
        progress.finish(last)

    show()
    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=["live-my-stage"]))
        found = client.read_artifacts(artifact_filter=wanted)
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=["live-search"]))
        ended = client.read_artifacts(artifact_filter=wanted)
    assert [one.data for one in found] == ["second"]
    assert [one.data for one in ended] == ["last"]
