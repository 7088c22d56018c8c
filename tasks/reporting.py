"""The stages that make reports."""

from __future__ import annotations

from qsm_core.reporting.speech.config import ReportConfig
from tasks.stage_task import stage
from tasks.traits import RENDERING, TABLES
from tasks.workers.call import Receipt, StageCall


@stage(
    entry="qsm_core.reporting.speech.report",
    config=ReportConfig,
    schema=3,
    libraries=(*RENDERING, *TABLES, "jinja2", "matplotlib", "pillow", "soundfile"),
    package_data=(
        "qsm_core/reporting/page/*.jinja",
        "qsm_core/reporting/page/*.css",
        "qsm_core/reporting/speech/*.json",
    ),
)
def make_report(call: StageCall) -> Receipt:
    """Make the page, the figures and the tables of a run of the speech system."""
    return call.run()
