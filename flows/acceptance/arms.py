"""Which model answers in each arm, with which adapter, and where: what cannot work is refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.acceptance.defaults import BASELINE_ADAPTER, EMBEDDED, STUDENT_ADAPTER
from flows.acceptance.parameters import NONE, AcceptParameters
from qsm_core.acceptance.generation.config import API_KEY_VARIABLE
from qsm_core.errors import ConfigurationError
from qsm_core.models.identity import TEXT_LLM
from qsm_core.models.named_files import adapter_problems, model_problems
from qsm_core.models.text.embedded_text import embedded_text_model
from qsm_core.models.text.endpoint import needs_key

_TITLE = "the parameters cannot be used"


@dataclass(frozen=True)
class ArmSource:
    """What answers in one arm.

    Args:
        name: baseline or student.
        model: As the user named it.
        revision: Commit of a model of the Hub.
        adapter: Folder of a LoRA adapter; None for none.
        is_trained: The run trains an adapter for it.
        url: Of a server that has the model; None: it runs here.
        secret: Secret block with the key of the server.
        model_field: Parameter that names the model, for errors.
        adapter_field: The same of the adapter.
    """

    name: str
    model: str
    revision: str | None
    adapter: Path | None
    url: str | None
    secret: str | None
    model_field: str
    adapter_field: str
    is_trained: bool = False

    @property
    def is_embedded(self) -> bool:
        """Whether the model is the one that comes as a package."""
        return self.url is None and self.model == EMBEDDED

    @property
    def adapter_name(self) -> str | None:
        """What plans and reports call the adapter: its folder, or that it comes with qsm."""
        if self.adapter in (BASELINE_ADAPTER, STUDENT_ADAPTER):
            return EMBEDDED
        if self.is_trained:
            return "trained in this run"
        return None if self.adapter is None else str(self.adapter)

    @property
    def row(self) -> dict[str, str]:
        """What a plan shows."""
        return {
            "arm": self.name,
            "model": self.model,
            "adapter": self.adapter_name or "",
            "where": self.url or "a model of this run",
        }


def arms_of(p: AcceptParameters) -> tuple[ArmSource, ArmSource]:
    """Return both arms; models and adapters are there and fit, as far as headers say.

    Raises:
        ConfigurationError: Lists what cannot be used; also that a key is missing.
        TransientError: The Hub did not answer.
    """
    baseline, student = _baseline(p), _student(p)
    problems = []
    is_bare = student.adapter is None and not student.is_trained
    if is_bare and p.student is None and student.url is None:
        problems.append(
            "adapter: is empty; give the folder of the student's LoRA adapter, or name another "
            f"model as student ({NONE!r}: the baseline's model without an adapter)"
        )
    for arm in (baseline, student):
        problems += _problems(arm)
    if problems:
        raise ConfigurationError(_TITLE, list(dict.fromkeys(problems)))
    if EMBEDDED in (baseline.model, student.model):
        embedded_text_model()
    return baseline, student


def _baseline(p: AcceptParameters) -> ArmSource:
    takes_default = _is_embedded(p.baseline, p.baseline_url) and p.has_default_cases
    default = BASELINE_ADAPTER if takes_default else None
    return ArmSource(
        "baseline",
        p.baseline,
        p.baseline_revision,
        _folder(p.baseline_adapter) or default,
        p.baseline_url,
        p.baseline_secret,
        "baseline",
        "baseline_adapter",
    )


def _student(p: AcceptParameters) -> ArmSource:
    own = p.student is not None and p.student != NONE
    of = p.student if own else p.baseline
    url = p.student_url if own else p.baseline_url
    is_trained = p.train is not None
    is_default = p.student is None and _is_embedded(str(of), url) and p.has_default_cases
    takes_default = is_default and not is_trained
    return ArmSource(
        "student",
        str(of),
        p.student_revision if own else p.baseline_revision,
        _folder(p.adapter) or (STUDENT_ADAPTER if takes_default else None),
        url,
        p.student_secret if own else p.baseline_secret,
        "student" if own else "baseline",
        "adapter",
        is_trained,
    )


def _problems(arm: ArmSource) -> list[str]:
    if arm.url is not None:
        if arm.adapter is not None:
            return [
                f"{arm.adapter_field} = {str(arm.adapter)!r}: a model behind a server takes no "
                "adapter from here; name a student with student_url, or load it there"
            ]
        return _key_problems(arm, os.environ)
    if arm.is_embedded:
        return []  # its folder is made by the run, which then judges the adapter
    problems = model_problems(arm.model_field, arm.model, arm.revision, TEXT_LLM)
    adapter = None if arm.adapter is None else str(arm.adapter)
    fits = adapter_problems(adapter, arm.model, arm.revision, TEXT_LLM, field=arm.adapter_field)
    return problems + fits


def _key_problems(arm: ArmSource, environment: Mapping[str, str]) -> list[str]:
    url = str(arm.url)
    if arm.secret is not None:
        from tasks.acceptance import ANSWERS_KEY  # loads Prefect

        ANSWERS_KEY.read(arm.secret)
    elif needs_key(url) and not environment.get(API_KEY_VARIABLE):
        return [
            f"{arm.name}_url = {url!r}: a server behind https is taken to ask for a key. Give the "
            f"name of a Prefect Secret block in {arm.name}_secret, or set {API_KEY_VARIABLE} "
            "('none' where it asks for none)"
        ]
    return []


def _is_embedded(model: str, url: str | None) -> bool:
    return url is None and model == EMBEDDED


def _folder(path: str | None) -> Path | None:
    return None if path is None else Path(path).expanduser()
