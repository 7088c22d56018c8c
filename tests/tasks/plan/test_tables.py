from __future__ import annotations

from dataclasses import replace

from qsm_core.stage.workload import Work
from qsm_core.store.explain import Verdict, VerdictKind
from tasks.plan.estimates import Estimate
from tasks.plan.planned import PlannedStage
from tasks.plan.tables import (
    direct_needs,
    job_rows,
    job_scripts,
    plan_diagram,
    plan_rows,
    total_estimate,
)

KEY = "0123456789abcdef"


def _stage(name: str, *needs: str, kind: VerdictKind | None = None) -> PlannedStage:
    verdict = None if kind is None else Verdict(kind, "toy", KEY)
    waits_for = needs if kind is None else ()
    return PlannedStage(name, "toy", "cpu", needs, verdict, waits_for)


STAGES = (
    _stage("corpus", kind=VerdictKind.REUSED),
    _stage("lora", "corpus", kind=VerdictKind.NEW),
    _stage("evaluation", "corpus", "lora"),
    _stage("report", "corpus", "lora", "evaluation"),
)


def test_what_another_need_needs_anyway_is_left_out() -> None:
    assert direct_needs(STAGES) == {
        "corpus": (),
        "lora": ("corpus",),
        "evaluation": ("lora",),
        "report": ("evaluation",),
    }


def test_rows_say_what_happens_and_why() -> None:
    rows = {row["stage"]: row for row in plan_rows(STAGES)}
    assert [row["plan"] for row in rows.values()] == ["reused", "runs", "waits", "waits"]
    assert rows["corpus"]["why"] == "all that it depends on is unchanged"
    assert rows["lora"]["why"] == "new: no earlier output of this stage"
    assert rows["lora"]["key"] == KEY[:8]
    assert rows["report"]["why"] == "is decided after evaluation"
    assert rows["report"]["key"] == ""


def test_a_stage_that_waits_for_one_behind_a_decided_one_says_so() -> None:
    decided = _stage("evaluation", "corpus", "lora", kind=VerdictKind.REUSED)
    last = PlannedStage("report", "toy", "cpu", ("lora", "evaluation"), None, ("lora",))
    assert plan_rows([*STAGES[:2], decided, last])[-1]["why"] == "is decided after lora"


def test_diagram_has_one_node_a_stage_and_one_arrow_a_direct_need() -> None:
    lines = [line.strip() for line in plan_diagram(STAGES).splitlines()]
    assert lines[0] == "flowchart LR"
    assert [line for line in lines if "-->" in line] == [
        "corpus --> lora",
        "lora --> evaluation",
        "evaluation --> report",
    ]
    assert "corpus[corpus<br/>reused]" in lines
    assert "class lora runs" in lines


def _running(name: str, seconds: float | None, **jobs: object) -> PlannedStage:
    estimate = None if seconds is None else Estimate(seconds, 2, "NVIDIA H200")
    planned = _stage(name, kind=VerdictKind.NEW)
    script = f"#SBATCH -p {jobs['partition']}" if "partition" in jobs else None
    return replace(
        planned, work=Work(10, "predictions"), estimate=estimate, jobs=jobs, script=script
    )


GPU = {"class": "gpu", "partition": "3090", "walltime": "02:00:00", "gres": ""}
PLANNED = (
    _stage("corpus", kind=VerdictKind.REUSED),
    _running("lora", 3600.0, **GPU),
    _running("baseline", 1800.0, **GPU),
    _running("report", None, **{"class": "cpu", "workers": 2}),
)


def test_rows_say_how_much_there_is_to_do_and_how_long_it_may_take() -> None:
    rows = {row["stage"]: row for row in plan_rows(PLANNED)}
    assert rows["lora"]["work"] == "10 predictions"
    assert rows["lora"]["estimate"] == "1 h 00 min, 1.00 GPU-hours (2 earlier runs)"
    assert rows["report"]["estimate"] == "no earlier run"
    assert (rows["corpus"]["work"], rows["corpus"]["estimate"]) == ("", "")
    assert total_estimate(PLANNED) == (
        "about 1 h 30 min one after another, 1.50 GPU-hours; without 1 that never ran"
    )
    assert total_estimate(PLANNED[:1]) == "nothing to do"


def test_stages_with_the_same_kind_of_worker_stand_together() -> None:
    rows = job_rows(PLANNED)
    assert [(row["workers"], row["stages"]) for row in rows] == [
        ("gpu: partition 3090, walltime 02:00:00", "lora, baseline"),
        ("cpu: workers 2", "report"),
    ]
    assert job_scripts(PLANNED) == {"lora": "#SBATCH -p 3090"}
