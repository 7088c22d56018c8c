from __future__ import annotations

from qsm_core.store.explain import Verdict, VerdictKind
from tasks.handle import PlannedStage
from tasks.planning import direct_needs, plan_diagram, plan_rows

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
