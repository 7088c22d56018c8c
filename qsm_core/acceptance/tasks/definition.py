"""What stands in a task's `task.yaml`, field by field."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from qsm_core.acceptance.answers.record import PartKind
from qsm_core.acceptance.config import GateSettings
from qsm_core.acceptance.rubrics.checks import Check

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
File = Annotated[str, Field(min_length=1)]
Entry = Annotated[str, Field(pattern=r"^[^:]+:[A-Za-z_][A-Za-z0-9_]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PromptDefinition(_Strict):
    """The prompt: files of the folder.

    Args:
        template: A jinja template.
        reminder: Text appended from the second attempt on; a template too.
        variables: What the templates see beside the inputs of a case.
    """

    template: File
    reminder: File | None = None
    variables: dict[Name, Any] = {}


class PartDefinition(_Strict):
    """A part of the answer; see `answers.record.Part`. `schema` and `grammar` are files."""

    name: Name
    kind: PartKind = "yaml"
    label: Annotated[str, Field(min_length=1)] | None = None
    schema_file: File | None = Field(default=None, alias="schema")
    grammar: File | None = None


class TaskDefinition(_Strict):
    """All of `task.yaml`; see `docs/acceptance.md`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: Annotated[str, Field(min_length=1)]
    description: str = ""
    inputs: Annotated[tuple[Name, ...], Field(min_length=1)]
    slices: tuple[str, ...] = ()
    prompt: PromptDefinition
    parts: Annotated[tuple[PartDefinition, ...], Field(min_length=1)]
    rubrics: Annotated[dict[Name, Entry | list[Check]], Field(min_length=1)]
    rubric: str
    contracts: dict[Name, Entry] = {}
    contract: str | None = None
    content: Entry | None = None
    gates: GateSettings = Field(default_factory=GateSettings)
