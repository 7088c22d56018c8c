"""What a user sees of a run in Prefect's own pages, in a real browser: both UIs, and the form."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from flows.complete_pipeline import complete_pipeline
from flows.speech.parameters import PipelineParameters
from tests.support.finished import FinishedRun
from tests.support.pipeline import STAGES, PrefectService, run_pipeline
from tests.support.server_records import wait_for

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PICTURES = ("overview", "differences", "by-duration", "by-snr", "thresholds", "conditions",
            "confusion", "reliability", "search", "training-loss")  # fmt: skip
SYSTEMS = ("Base", "LoRA", "Base + OPRO", "LoRA + OPRO")
# The addresses of one artifact in Prefect's two UIs.
PAGES = {"v1": "/artifacts/artifact/{}", "v2": "/v2/artifacts/artifact/{}"}
WAIT_MS = 20_000
pytestmark = [
    pytest.mark.browser,
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed"),
]

SHOW_PROGRESS = """
from prefect import flow
from tasks.workers.progress import ProgressArtifact

@flow
def long_stage():
    progress = ProgressArtifact("long_stage", every_s=0.0)
    progress(3, 4, "instructions scored")
    progress.wait()

long_stage()
"""


@dataclass(frozen=True)
class Shown:
    """A server with one run, which had to train and reused the rest, and its artifacts by key."""

    service: PrefectService
    artifacts: dict[str, dict[str, Any]]
    results: Path

    def address(self, ui: str, key: str) -> str:
        """Address of an artifact's page."""
        return self.service.ui_url + PAGES[ui].format(self.artifacts[key]["id"])


def _ask(service: PrefectService, path: str, body: Any) -> Any:
    request = urllib.request.Request(
        f"{service.api_url}/{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def _python(service: PrefectService, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**service.environment, "QSM_HOME": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def shown(
    finished_run: FinishedRun,
    prefect_service: PrefectService,
    tmp_path_factory: pytest.TempPathFactory,
) -> Shown:
    folder = tmp_path_factory.mktemp("ui")
    finished_run.copy_store(folder / "store", without=["lora"])
    done = run_pipeline(prefect_service, folder, **finished_run.parameters | {"name": "shown"})
    assert done.returncode == 0, done.stderr
    _python(prefect_service, SHOW_PROGRESS)
    runs = _ask(prefect_service, "flow_runs/filter", {})
    by_key = {}
    for run in runs:
        given = {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}}
        for artifact in _ask(prefect_service, "artifacts/filter", given):
            keep = run["parameters"].get("name") == "shown" or artifact["type"] == "progress"
            if keep:
                by_key[artifact["key"]] = {**artifact, "run": run["id"]}
    return Shown(prefect_service, by_key, folder / "results" / "shown")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    yield page
    page.close()


def _cell(page: Page, text: str) -> Locator:
    """Return the cells of tables that hold just this text."""
    return page.locator("td").filter(has_text=re.compile(rf"^\s*{re.escape(text)}\s*$"))


def _expect_in_table(page: Page, texts: Iterable[str]) -> None:
    """Look for a cell of each text, also on the table's further pages (V2 shows ten rows)."""
    expect(page.locator("td").first).to_be_visible()
    left = set(texts)
    while True:
        left -= {text for text in left if _cell(page, text).count()}
        following = page.get_by_role("button", name=re.compile("next page", re.IGNORECASE))
        if not left or not following.count() or following.first.is_disabled():
            break
        following.first.click()
    assert not left, f"no row of the table is for {left}"


@pytest.mark.parametrize("ui", PAGES)
@pytest.mark.parametrize("key", PICTURES)
def test_picture_is_shown(page: Page, shown: Shown, ui: str, key: str) -> None:
    page.goto(shown.address(ui, key))
    picture = page.locator("img[src^='data:image/png']")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") >= 600
    # The page draws it anew when the artifact is refreshed, and for that moment it has no box.
    wait_for(lambda: _is_large(picture), "the picture at its size")
    assert str(picture.get_attribute("alt"))
    assert len(shown.artifacts[key]["data"]) < 150_000


def _is_large(picture: Locator) -> bool:
    box = picture.bounding_box()
    return box is not None and box["width"] > 400 and box["height"] > 100


@pytest.mark.parametrize("ui", PAGES)
def test_plan_tells_the_verdict_of_each_stage(page: Page, shown: Shown, ui: str) -> None:
    page.goto(shown.address(ui, "plan"))
    _expect_in_table(page, STAGES)
    page.goto(shown.address(ui, "plan"))
    expect(page.get_by_text("new: no earlier output of this stage").first).to_be_visible()
    expect(_cell(page, "is decided after lora").first).to_be_visible()


def test_plan_is_drawn(page: Page, shown: Shown) -> None:
    page.goto(shown.address("v2", "plan-diagram"))
    drawing = page.locator("svg[aria-roledescription^=flowchart]")
    expect(drawing).to_be_visible()
    for stage in STAGES:
        expect(drawing.get_by_text(stage).first).to_be_visible()
    assert page.get_by_text("Syntax error").count() == 0


@pytest.mark.parametrize("ui", PAGES)
def test_results_have_every_system_with_intervals(page: Page, shown: Shown, ui: str) -> None:
    page.goto(shown.address(ui, "results"))
    for system in SYSTEMS:
        row = page.locator("tr").filter(has=_cell(page, system))
        expect(row).to_be_visible()
        assert "[" in row.inner_text()
    expect(page.get_by_text("stage 1 and stage 3a").first).to_be_visible()


@pytest.mark.parametrize("ui", PAGES)
def test_summary_tells_results_and_where_the_report_is(page: Page, shown: Shown, ui: str) -> None:
    page.goto(shown.address(ui, "summary"))
    expect(page.get_by_role("heading", name="Summary")).to_be_visible()
    expect(_cell(page, "LoRA + OPRO").first).to_be_visible()
    expect(page.get_by_text(str(shown.results / "report.html")).first).to_be_visible()


@pytest.mark.parametrize("ui", PAGES)
def test_winning_instructions_are_quoted(page: Page, shown: Shown, ui: str) -> None:
    page.goto(shown.address(ui, "instructions"))
    for system in ("base", "lora"):
        winner = (shown.results / f"opro_{system}" / "best_prompt.txt").read_text().strip()
        expect(page.locator("blockquote").filter(has_text=winner).first).to_be_visible()


@pytest.mark.parametrize("ui", PAGES)
def test_provenance_has_a_row_a_stage(page: Page, shown: Shown, ui: str) -> None:
    page.goto(shown.address(ui, "provenance"))
    _expect_in_table(page, STAGES)
    page.goto(shown.address(ui, "provenance"))
    adapter = (shown.results / "checkpoints/lora/final").resolve()  # its folder is its key
    expect(page.get_by_text(adapter.name[:12], exact=True)).to_be_visible()


@pytest.mark.parametrize("ui", PAGES)
def test_progress_of_a_long_stage_is_shown(page: Page, shown: Shown, ui: str) -> None:
    page.goto(shown.address(ui, "progress-of-long-stage"))
    expect(page.get_by_text("instructions scored (3 of 4)").first).to_be_visible()
    expect(page.get_by_text("75%").first).to_be_visible()


def test_run_page_lists_the_artifacts_with_what_they_show(page: Page, shown: Shown) -> None:
    run = shown.artifacts["summary"]["run"]
    page.goto(f"{shown.service.ui_url}/v2/runs/flow-run/{run}?tab=Artifacts")
    for key in ("plan", "plan-diagram", "summary", "results", "instructions", "provenance"):
        expect(page.get_by_text(key, exact=True).first).to_be_visible()
    assert page.get_by_text("No description").count() == 0


def test_each_stage_is_a_task_of_its_own_name_with_tags(page: Page, shown: Shown) -> None:
    run = shown.artifacts["summary"]["run"]
    page.goto(f"{shown.service.ui_url}/v2/runs/flow-run/{run}?tab=TaskRuns")
    for stage in ("corpus", "lora", "eval_lora", "report"):
        name = re.compile(rf"^{stage}-[0-9a-f]{{8}}$")
        expect(page.get_by_role("link", name=name).first).to_be_visible()
    page.get_by_role("link", name=re.compile(r"^lora-[0-9a-f]{8}$")).first.click()
    for tag in ("qsm", "train_lora", "gpu"):
        expect(page.get_by_text(tag, exact=True).first).to_be_visible()
    page.goto(f"{shown.service.ui_url}/v2/runs?tab=task-runs&task-run-search=opro_")
    for stage in ("opro_base", "opro_lora"):
        expect(page.get_by_text(re.compile(rf"^{stage}-[0-9a-f]{{8}}$")).first).to_be_visible()
    assert page.get_by_text(re.compile(r"^corpus-[0-9a-f]{8}$")).count() == 0
    only = {"task_runs": {"tags": {"all_": ["train_lora"]}}, "flow_runs": {"id": {"any_": [run]}}}
    (found,) = _ask(shown.service, "task_runs/filter", only)
    assert found["task_key"].startswith("train_lora-")


@pytest.fixture(scope="module")
def form_address(prefect_service: PrefectService) -> str:
    _python(
        prefect_service,
        "from deployments.registration import register_deployments; register_deployments()",
    )
    deployments = _ask(prefect_service, "deployments/filter", {})
    (one,) = [known["id"] for known in deployments if known["name"] == "embedded"]
    return f"{prefect_service.ui_url}/v2/deployments/deployment/{one}/run"


TITLES = {name: one["title"] for name, one in complete_pipeline.parameters.properties.items()}


def _field(page: Page, name: str) -> Locator:
    """Return the part of the form that belongs to one parameter."""
    label = page.get_by_text(f"{TITLES[name]} (Optional)", exact=True)
    return page.locator("div.group").filter(has=label).last


def test_form_starts_a_run_with_what_was_filled_in(
    page: Page, form_address: str, prefect_service: PrefectService
) -> None:
    page.goto(form_address)
    expect(page.get_by_text("Preset (Optional)", exact=True)).to_be_visible()
    labels = page.locator("label").all_inner_texts()
    shown = [text.removesuffix(" (Optional)") for text in labels if text.endswith("(Optional)")]
    assert shown == [TITLES[name] for name in PipelineParameters.model_fields]  # in its order
    assert page.get_by_text("Property is type").count() == 0  # an empty field is an empty box
    for name, field in PipelineParameters.model_fields.items():
        expect(_field(page, name).get_by_text(str(field.description), exact=True)).to_be_visible()

    seed = _field(page, "seed").get_by_role("spinbutton")
    seed.fill("7")
    _field(page, "train_clips").get_by_role("spinbutton").fill("14")
    _field(page, "data").get_by_role("textbox").fill("my clips/")
    _field(page, "plan_only").get_by_role("switch").click()
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile("tab=Runs"))  # back on the page of the deployment

    runs = _ask(prefect_service, "flow_runs/filter", {})
    (made,) = [run for run in runs if run["parameters"].get("data") == "my clips/"]
    assert made["deployment_id"]
    given = {name: made["parameters"].get(name) for name in ("seed", "train_clips", "data")}
    assert given == {"seed": 7, "train_clips": 14, "data": "my clips/"}
    assert made["parameters"]["plan_only"] is True
    assert made["parameters"]["preset"] == "embedded"
    assert "lora_rank" not in made["parameters"]  # empty stays empty: the preset's value
