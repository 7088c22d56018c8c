"""The prompts and cells of a shard, and which rows are there already; no model is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from qsm_core.errors import ConfigurationError, DataError
from qsm_core.perturbation.cells import Cell, cells_of, text_seed
from qsm_core.perturbation.config import PerturbModel
from qsm_core.perturbation.prompt import Prompt
from qsm_core.perturbation.prompts.built_in import built_in_prompts
from qsm_core.perturbation.prompts.reading import read_prompts
from qsm_core.perturbation.records.tables import Rows, merge, read_rows
from qsm_core.stage.workload import PlannedInput, Work
from qsm_core.store.digests import digest_file

_UNIT = "texts"


def prompts_of(config: PerturbModel, inputs: Mapping[str, Path]) -> list[Prompt]:
    """Return what is asked in each cell.

    Raises:
        ConfigurationError: There is no such task, or no prompt at all.
        DataError: The user's file cannot be used, or names a prompt as a built-in one is named.
    """
    prompts = built_in_prompts(config.tasks)
    if "prompts" in inputs:
        own = read_prompts(inputs["prompts"])
        known = {one.prompt_id for one in prompts}
        twice = [one.prompt_id for one in own if one.prompt_id in known]
        if twice:
            problem = f"{inputs['prompts']}: prompt_id {', '.join(twice)}: is built in; rename it"
            raise DataError("the prompts cannot be used", [problem])
        prompts += own
    if any(one.has_picture for one in prompts) and "image" not in inputs:
        problem = "image: is empty, and prompts have a picture; give one, or leave task picture"
        raise ConfigurationError("the prompts cannot be asked", [problem])
    return prompts


def prompt_digests(prompts: Iterable[Prompt], inputs: Mapping[str, Path]) -> dict[str, str]:
    """Return what names each prompt: a text to another one is not taken over."""
    picture = digest_file(inputs["image"]) if "image" in inputs else ""
    made = {}
    for one in prompts:
        content = one.text + (f"\n{picture}" if one.has_picture else "")
        made[one.prompt_id] = hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()
    return made


def known_rows(
    config: PerturbModel,
    cells: Iterable[Cell],
    digests: Mapping[str, str],
    found: Iterable[Rows],
) -> Rows:
    """Return the rows of these cells and prompts that are there already.

    Only texts to the same prompt with the same seed are taken. The rows are of the same model with
    the same settings; that is for the caller to see to.
    """
    by_key = {cell.key: cell for cell in cells}
    rows = Rows()
    for row in (every := merge(found)).texts.values():
        cell = by_key.get(row.cell)
        if (
            cell is not None
            and digests.get(row.prompt_id) == row.prompt_sha256
            and row.seed == text_seed(config.seed, cell.draw, row.prompt_id)
        ):
            rows.add(row)
    for name, cell in by_key.items():
        if name in every.cells:
            rows.add(replace(every.cells[name], level_index=cell.level_index))
    return rows


def perturbing_work(config: PerturbModel, inputs: Mapping[str, PlannedInput]) -> Work:
    """Count the texts; those that other outputs have are not written."""
    # A picture that has yet to be drawn is one: how many texts there are does not rest on it.
    paths = {name: one.path or Path() for name, one in inputs.items()}
    prompts = len(prompts_of(config, paths))
    return Work(len(cells_of(config)) * max(1, prompts), _UNIT, at_most=True)


def nothing_to_do(config: PerturbModel, inputs: Mapping[str, Path], parts: Sequence[Path]) -> bool:
    """Say whether other outputs have all rows."""
    return bool(parts) and not _open_cells(config, inputs, parts)


def split_cells(
    config: PerturbModel, inputs: Mapping[str, Path], parts: Sequence[Path], wanted: int
) -> Sequence[PerturbModel]:
    """Return the share of each shard; one worker does it all where there is one cell to do."""
    shards = min(wanted, len(_open_cells(config, inputs, parts)))
    if shards <= 1:
        return ()
    return [replace(config, shard=number, shards=shards) for number in range(shards)]


def _open_cells(
    config: PerturbModel, inputs: Mapping[str, Path], parts: Sequence[Path]
) -> list[str]:
    digests = prompt_digests(prompts_of(config, inputs), inputs)
    cells = cells_of(config)
    known = known_rows(config, cells, digests, map(read_rows, parts))
    return [
        cell.key
        for cell in cells
        if cell.key not in known.cells
        or any((cell.key, name) not in known.texts for name in digests)
    ]
