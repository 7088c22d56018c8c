"""The plan of a run as tables, as text and as a diagram."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.plan.estimates import duration
from tasks.plan.planned import PlannedStage

_NO_EARLIER_RUN = "no earlier run"
_CLASSES = {
    "reused": "fill:#d7ecf7,stroke:#0072b2,color:#10222e",
    "runs": "fill:#fdeacc,stroke:#e69f00,color:#3a2a00",
    "waits": "fill:#ececec,stroke:#777777,color:#222222",
}


def plan_state(stage: PlannedStage) -> str:
    """Say in one word what happens to a stage: it is reused, it runs, or it waits for others."""
    if stage.verdict is None:
        return "waits"
    return "reused" if stage.verdict.reuse else "runs"


def plan_rows(stages: Sequence[PlannedStage]) -> list[dict[str, str]]:
    """Return the plan as rows of a table."""
    nearest = direct_needs(stages)
    return [
        {
            "stage": stage.name,
            "plan": plan_state(stage),
            "work": "" if stage.work is None else stage.work.text,
            "estimate": _estimate(stage),
            "resource": stage.resource,
            "key": "" if stage.verdict is None else stage.verdict.key[:8],
            "why": _why(stage, nearest[stage.name]),  # last, as it is long
        }
        for stage in stages
    ]


def job_rows(stages: Sequence[PlannedStage]) -> list[dict[str, str]]:
    """Return where the stages run that are not reused: one row for each kind of worker."""
    kinds: dict[str, list[PlannedStage]] = {}
    for stage in stages:
        if stage.jobs:
            facts = ", ".join(f"{name} {value}" for name, value in _facts(stage).items())
            kinds.setdefault(f"{stage.jobs['class']}: {facts}", []).append(stage)
    return [
        {
            "workers": kind,
            "stages": ", ".join(stage.name for stage in those),
            "estimate": total_estimate(those),
        }
        for kind, those in kinds.items()
    ]


def detail_tables(stages: Sequence[PlannedStage]) -> dict[str, list[dict[str, str]]]:
    """Return what the parts of stages that are not reused cost at most: rows by title."""
    tables: dict[str, list[dict[str, str]]] = {}
    for stage in stages:
        for title, rows in ({} if stage.work is None else stage.work.details).items():
            tables.setdefault(title, []).extend({"stage": stage.name, **row} for row in rows)
    return tables


def job_scripts(stages: Sequence[PlannedStage]) -> dict[str, str]:
    """Return the scripts of the jobs that would be submitted, by the first stage of each."""
    scripts: dict[str, str] = {}
    for stage in stages:
        if stage.script is not None and stage.script not in scripts.values():
            scripts[stage.name] = stage.script
    return scripts


def total_estimate(stages: Sequence[PlannedStage]) -> str:
    """Say how long the stages that are not reused may take, one after another."""
    open_stages = [stage for stage in stages if not stage.reuse]
    if not open_stages:
        return "nothing to do"
    known = [stage.estimate for stage in open_stages if stage.estimate is not None]
    if not known:
        return _NO_EARLIER_RUN
    text = f"about {duration(sum(one.seconds for one in known))} one after another"
    gpu_hours = sum(one.gpu_hours for one in known)
    if gpu_hours:
        text += f", {gpu_hours:.2f} GPU-hours"
    missing = len(open_stages) - len(known)
    return f"{text}; without {missing} that never ran" if missing else text


def plan_diagram(stages: Sequence[PlannedStage]) -> str:
    """Return the plan as the text of a Mermaid flowchart, coloured by what happens."""
    lines = ["flowchart LR"]
    lines += [f"  {stage.name}[{stage.name}<br/>{plan_state(stage)}]" for stage in stages]
    lines += [f"  {a} --> {name}" for name, needs in direct_needs(stages).items() for a in needs]
    lines += [f"  classDef {name} {style}" for name, style in _CLASSES.items()]
    lines += [f"  class {stage.name} {plan_state(stage)}" for stage in stages]
    return "\n".join(lines)


def direct_needs(stages: Sequence[PlannedStage]) -> dict[str, tuple[str, ...]]:
    """Return what each stage needs, without what another of its needs needs anyway."""
    before: dict[str, frozenset[str]] = {}
    for stage in stages:  # a stage comes after those that it needs
        before[stage.name] = frozenset(stage.needs).union(*(before[n] for n in stage.needs))
    return {
        stage.name: tuple(
            need for need in stage.needs if not any(need in before[other] for other in stage.needs)
        )
        for stage in stages
    }


def _facts(stage: PlannedStage) -> dict[str, object]:
    """Return what a reader wants to know of a kind of worker."""
    return {
        name: value
        for name, value in stage.jobs.items()
        if name != "class" and value not in ("", 0)
    }


def _estimate(stage: PlannedStage) -> str:
    if stage.reuse or stage.work is None or stage.work.note:
        return ""
    return _NO_EARLIER_RUN if stage.estimate is None else stage.estimate.text


def _why(stage: PlannedStage, needs: Sequence[str]) -> str:
    """Say why a stage is reused or runs; where that is open, after which stages it is decided."""
    if stage.verdict is not None:
        sentence = stage.sentence.removeprefix("reused").removeprefix("runs because of ")
        return sentence.removeprefix(", ") or "all that it depends on is unchanged"
    open_needs = [name for name in needs if name in stage.waits_for]
    return f"is decided after {', '.join(open_needs or stage.waits_for)}"
