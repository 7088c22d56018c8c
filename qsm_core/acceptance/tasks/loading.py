"""Read a task folder; everything that is wrong with it is reported together, by file and field."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from qsm_core.acceptance.answers.record import Part
from qsm_core.acceptance.answers.schemas import schema_problem
from qsm_core.acceptance.answers.yaml_text import TextError, parse_yaml
from qsm_core.acceptance.cases.record import Case
from qsm_core.acceptance.rubrics.checks import Check, needs_expected, rubric_of
from qsm_core.acceptance.rubrics.product_owner import content, contracts, corrected, original
from qsm_core.acceptance.rubrics.score import Rubric
from qsm_core.acceptance.tasks.definition import PartDefinition, TaskDefinition
from qsm_core.acceptance.tasks.entries import EntryError, load_entry
from qsm_core.acceptance.tasks.prompts import template_problem
from qsm_core.acceptance.tasks.task import Task
from qsm_core.errors import ConfigurationError, DataError

DEFINITION = "task.yaml"
BUILT_IN = Path(__file__).parent
TITLE = "the task cannot be used"
_MOST_SHOWN = 20
# Modules that a task.yaml of qsm names. Imported here, since the digest of a stage's code follows
# imports: with another rubric the stage is another.
_NAMED_IN_TASKS = (content, contracts, corrected, original)


def built_in_tasks() -> list[str]:
    """Return the names of the tasks that come with qsm."""
    return sorted(path.parent.name.replace("_", "-") for path in BUILT_IN.glob(f"*/{DEFINITION}"))


def load_task(name_or_folder: str | Path) -> Task:
    """Read a task by the name of a built-in one, or from its folder.

    Raises:
        ConfigurationError: There is no such task, or its folder is wrong.
    """
    folder = Path(name_or_folder)
    if str(name_or_folder) in built_in_tasks():
        folder = BUILT_IN / str(name_or_folder).replace("-", "_")
    if not (folder / DEFINITION).is_file():
        names = ", ".join(built_in_tasks())
        problem = (
            f"task = {str(name_or_folder)!r}: is neither a folder with {DEFINITION} nor {names}"
        )
        raise ConfigurationError(TITLE, [problem])
    return _Reader(folder).task()


def check_cases(task: Task, cases: Sequence[Case]) -> None:
    """Refuse cases that a task cannot use.

    Raises:
        DataError: Lists every case without an input, or without what its rubric compares with.
    """
    problems = [
        f"{case.origin or case.case_id}: {case.case_id} has no {name}, which task {task.name} "
        f"needs; it has {', '.join(case.inputs) or 'no input'}"
        for case in cases
        for name in task.inputs
        if case.inputs.get(name) in (None, "")
    ]
    if needs_expected(task.rubrics[task.rubric]):
        problems += [
            f"{case.origin or case.case_id}: {case.case_id} has no expected, with which rubric "
            f"{task.rubric} of task {task.name} compares"
            for case in cases
            if case.expected is None
        ]
    if problems:
        left = len(problems) - _MOST_SHOWN
        more = [f"and {left} more"] if left > 0 else []
        raise DataError("the cases do not fit the task", [*problems[:_MOST_SHOWN], *more])


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 over the names and bytes of all files of a task."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and "__pycache__" not in inside.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{inside.as_posix()}\x1f{content}\n".encode())
    return digest.hexdigest()


@dataclass
class _Reader:
    folder: Path
    problems: list[str] = field(default_factory=list)

    def task(self) -> Task:
        definition = self._definition()
        template = self._text("prompt.template", definition.prompt.template)
        reminder = self._text("prompt.reminder", definition.prompt.reminder)
        self._check_templates(definition, template, reminder)
        parts = tuple(self._part(place, one) for place, one in enumerate(definition.parts))
        self._check_names(definition)
        names = [part.name for part in parts]
        rubrics = {
            name: self._rubric(name, value, names) for name, value in definition.rubrics.items()
        }
        contracts = {
            name: self._entry(f"contracts.{name}", entry)
            for name, entry in definition.contracts.items()
        }
        content = self._entry("content", definition.content) if definition.content else None
        self._stop_on_problems()
        return Task(
            name=definition.name,
            title=definition.title,
            description=definition.description,
            inputs=definition.inputs,
            slices=definition.slices,
            template=template,
            reminder=reminder,
            variables=definition.prompt.variables,
            parts=parts,
            rubrics=rubrics,
            rubric=definition.rubric,
            contracts=contracts,
            contract=definition.contract,
            content=content,
            gates=definition.gates,
            folder=self.folder,
            digest=folder_digest(self.folder),
        )

    def _stop_on_problems(self) -> None:
        if self.problems:
            raise ConfigurationError(TITLE, self.problems)

    def _definition(self) -> TaskDefinition:
        path = self.folder / DEFINITION
        text = self._text("", DEFINITION)
        self._stop_on_problems()
        try:
            # As JSON, so that lists are taken for tuples; a date in it is text.
            values = json.dumps(parse_yaml(text), default=str)
            return TaskDefinition.model_validate_json(values, strict=True)
        except TextError as error:
            at = f", line {error.line}" if error.line else ""
            problems = [f"{path}{at}: is no YAML ({error.message})"]
        except ValidationError as error:
            problems = [f"{path}: {_explain(one)}" for one in error.errors()]
        raise ConfigurationError(TITLE, problems)

    def _text(self, field_name: str, name: str | None) -> str:
        if name is None:
            return ""
        path = self.folder / name
        said = f"{self.folder / DEFINITION}: {field_name} = {name!r}: " if field_name else ""
        if not path.resolve().is_relative_to(self.folder.resolve()):
            self.problems.append(f"{said}the file must be in the folder of the task")
            return ""
        try:
            return path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(f"{said}{path}: cannot be read ({error})")
            return ""

    def _check_templates(self, definition: TaskDefinition, template: str, reminder: str) -> None:
        known = {*definition.inputs, *definition.prompt.variables}
        for text, name in (
            (template, definition.prompt.template),
            (reminder, definition.prompt.reminder),
        ):
            problem = template_problem(text, name or "", self.folder, known)
            self.problems += [problem] if problem else []

    def _part(self, place: int, part: PartDefinition) -> Part:
        schema = self._schema(f"parts.{place}.schema", part.schema_file)
        grammar = self._schema(f"parts.{place}.grammar", part.grammar)
        if part.kind == "text" and (schema or grammar):
            problem = "a free text has no schema; say kind: yaml or json"
            self.problems.append(f"{self.folder / DEFINITION}: parts.{place}: {problem}")
        return Part(part.name, part.kind, part.label, schema, grammar)

    def _schema(self, field_name: str, name: str | None) -> Mapping[str, Any] | None:
        before = len(self.problems)
        text = self._text(field_name, name)
        if name is None or len(self.problems) > before:
            return None
        path = self.folder / name
        try:
            schema = json.loads(text)
        except ValueError as error:
            self.problems.append(f"{path}: is no JSON ({error})")
            return None
        if not isinstance(schema, dict):
            self.problems.append(f"{path}: must be an object, a JSON Schema")
            return None
        problem = schema_problem(schema)
        self.problems += [f"{path}: is no JSON Schema: {problem}"] if problem else []
        return schema

    def _check_names(self, definition: TaskDefinition) -> None:
        path = self.folder / DEFINITION
        names = [part.name for part in definition.parts]
        for name in sorted({one for one in names if names.count(one) > 1}):
            self.problems.append(f"{path}: parts: two of them have the name {name!r}")
        if definition.rubric not in definition.rubrics:
            self.problems.append(
                f"{path}: rubric = {definition.rubric!r}: is not in rubrics; there are: "
                + ", ".join(definition.rubrics)
            )
        if definition.contract is not None and definition.contract not in definition.contracts:
            self.problems.append(
                f"{path}: contract = {definition.contract!r}: is not in contracts; there are: "
                + (", ".join(definition.contracts) or "none")
            )

    def _rubric(self, name: str, value: str | list[Check], parts: list[str]) -> Rubric:
        if isinstance(value, str):
            return self._entry(f"rubrics.{name}", value)
        path = self.folder / DEFINITION
        if not value:
            self.problems.append(f"{path}: rubrics.{name}: has no check")
        for place, check in enumerate(value):
            self.problems += [
                f"{path}: rubrics.{name}.{place}.{problem}" for problem in check.problems(parts)
            ]
        return rubric_of(value)

    def _entry(self, field_name: str, entry: str) -> Callable[..., Any]:
        try:
            return load_entry(entry, self.folder)
        except EntryError as error:
            path = self.folder / DEFINITION
            self.problems.append(f"{path}: {field_name} = {entry!r}: {error}")
            return _nothing


def _nothing(*_: Any) -> None:
    """Stand for an entry that could not be loaded, until its problem is reported."""


def _explain(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"]) or DEFINITION
    if problem["type"] == "missing":
        return f"{place}: is missing"
    if problem["type"] == "extra_forbidden":
        return f"{place} = {problem['input']!r}: there is no such field"
    return f"{place} = {str(problem['input'])[:80]!r}: {problem['msg']}"
