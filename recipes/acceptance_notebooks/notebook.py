"""A notebook from the template: cells that begin with `# %%`, without outputs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from qsm_core.models.text.embedded_text import PACKAGE, VERSION
from recipes.acceptance_notebooks.platforms import Platform

_TEMPLATE = Path(__file__).with_name("template.py.jinja")
_MARKDOWN = " [markdown]"


def notebook_name(platform: Platform) -> str:
    """Return the name of the file."""
    return f"acceptance_{platform.name}.ipynb"


def notebook_text(platform: Platform) -> str:
    """Return the file of a platform."""
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - no HTML
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    text = template.render(platform=platform, embedded=f"{PACKAGE}=={VERSION}")
    pieces = re.split(r"^# %%", text, flags=re.MULTILINE)[1:]
    notebook = {
        "cells": [_cell(number, piece) for number, piece in enumerate(pieces)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _cell(number: int, piece: str) -> dict[str, Any]:
    kind, _, source = piece.partition("\n")
    cell: dict[str, Any] = {"id": f"cell-{number:02d}", "metadata": {}}
    if kind == _MARKDOWN:
        lines = [re.sub(r"^# ?", "", line) for line in source.strip("\n").split("\n")]
        first = source.split("\n", 1)[0]
        lines[0] = first if first.startswith("##") else f"# {lines[0]}"
        return cell | {"cell_type": "markdown", "source": _lines("\n".join(lines))}
    code = {"cell_type": "code", "execution_count": None, "outputs": []}
    return cell | code | {"source": _lines(source.strip("\n"))}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
