"""The cells of a shard, made one by one with a loaded model; what is there already stays."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import torch

from qsm_core.errors import ModelError
from qsm_core.models.text.loading import load_text_model
from qsm_core.perturbation.cells import Cell, text_seed
from qsm_core.perturbation.config import PerturbModel
from qsm_core.perturbation.damage import Applied, Damage
from qsm_core.perturbation.fidelity import Reference, compare
from qsm_core.perturbation.memory import BatchSize, device_meter
from qsm_core.perturbation.prompt import Prompt
from qsm_core.perturbation.records.rows import CellRow, Fidelity, TextRow
from qsm_core.perturbation.records.tables import Rows, append_rows
from qsm_core.perturbation.texts import Writer, open_writer
from qsm_core.stage.context import StageContext

MAX_BATCH = 40
_CLEAN_DIVERGENCE = 0.01  # nats a token that another device or number format may make


def open_prompts(cell: Cell, prompts: Sequence[Prompt], rows: Rows) -> list[Prompt] | None:
    """Return the prompts that a cell has still to be asked; None where it has all it needs."""
    left = [one for one in prompts if (cell.key, one.prompt_id) not in rows.texts]
    return left if left or cell.key not in rows.cells else None


def make_cells(
    context: StageContext,
    config: PerturbModel,
    cells: Sequence[Cell],
    prompts: Sequence[Prompt],
    digests: Mapping[str, str],
    rows: Rows,
) -> None:
    """Load the model and make what is missing of each cell; `rows` grows.

    Args:
        context: Of the stage: the model, its reference, where rows are kept.
        config: Of the stage.
        cells: In the order in which they are made.
        prompts: Asked in each.
        digests: Of the prompts.
        rows: Those that are there already.

    Raises:
        ConfigurationError: A group is not there, or a prompt cannot be asked.
        ModelError: The model cannot be used or restored, or the device's memory is nearly full.
        InterruptedStageError: It should stop; what was written is kept.
    """
    _Cells(context, config, prompts, digests, rows).make(cells)


class _Cells:
    """A loaded model, and what is kept of it."""

    def __init__(
        self,
        context: StageContext,
        config: PerturbModel,
        prompts: Sequence[Prompt],
        digests: Mapping[str, str],
        known: Rows,
    ) -> None:
        self._context, self._config, self._known = context, config, known
        self._prompts, self._digests = prompts, digests
        if context.runtime.get("threads") is not None:
            torch.set_num_threads(int(context.runtime["threads"]))
        context.report(0, 1, "loading the model")
        folder = context.inputs["model"]
        loaded = load_text_model(
            folder,
            quantization=config.quantization,
            device=context.runtime.get("device", "auto"),
            dtype=config.dtype,
        )
        self._model, self._placement = loaded.model, loaded.placement
        picture = context.inputs.get("image") if any(p.has_picture for p in prompts) else None
        self._writer: Writer = open_writer(loaded, folder, config.texts, picture)
        self._writer.check(prompts)
        self._reference = Reference.read(context.inputs["reference"])
        self._damage = Damage(self._model, config.seed)
        for condition in config.conditions if config.quantization == "none" else ():
            with self._damage.of(Cell(condition, condition.levels[-1], 0, 0)):
                pass  # a group that is not there is refused before the first cell
        self._undamaged: Fidelity | None = None
        self._sizes = BatchSize(
            int(context.runtime.get("batch_size", 8)),
            int(context.runtime.get("max_batch_size", MAX_BATCH)),
            device_meter(loaded.placement.device),
            self._say,
        )
        self._total = 1

    def make(self, cells: Sequence[Cell]) -> None:
        """Make what is missing of each cell, whole cells first to last."""
        self._total = len(cells) * (len(self._prompts) + 1)
        for cell in cells:
            left = open_prompts(cell, self._prompts, self._known)
            if left is None:
                continue
            begun = time.monotonic()
            with self._damage.of(cell) as applied:
                if cell.key not in self._known.cells:
                    self._keep([self._measured(cell, applied, begun)])
                for has_picture in (False, True):
                    self._ask(cell, [one for one in left if one.has_picture is has_picture])

    def _measured(self, cell: Cell, applied: Applied, begun: float) -> CellRow:
        if cell.condition is not None:
            found = compare(self._model, self._reference, self._damage)
        else:
            found = self._undamaged or compare(self._model, self._reference)
            self._undamaged = found
            self._check_clean(found)
        return CellRow(
            cell=cell.key,
            method=cell.method,
            group=None if cell.condition is None else cell.condition.group.name,
            level=cell.level,
            level_index=cell.level_index,
            draw=cell.draw,
            num_weights=applied.num_weights,
            relative_norm=applied.relative_norm if math.isfinite(applied.relative_norm) else None,
            **found.values(),
            seconds=round(time.monotonic() - begun, 4),
        )

    def _check_clean(self, found: Fidelity) -> None:
        is_other = found.kl_mean is None or found.kl_mean > _CLEAN_DIVERGENCE
        if self._config.quantization == "none" and is_other:
            raise ModelError(
                f"the clean model differs from its reference by {found.kl_mean} nats a token: "
                "another device or number format made it; measure the reference with the same "
                "dtype"
            )

    def _ask(self, cell: Cell, prompts: list[Prompt]) -> None:
        left = list(prompts)
        while left:
            batch = left[: self._sizes.value]
            try:
                rows = self._rows(cell, batch)
            except torch.OutOfMemoryError as error:
                if not self._sizes.halve():
                    raise ModelError(
                        f"prompt {batch[0].prompt_id} does not fit on the device: allow fewer "
                        "max_new_tokens, or take a smaller model"
                    ) from error
                rows = []
            if not rows:  # after the error, which holds the memory of what failed
                torch.cuda.empty_cache()
                continue
            self._keep(rows)
            left = left[len(batch) :]
            self._sizes.adapt(rows[0].memory_percent)
            self._context.stop_if_requested(f"{len(self._known.texts)} texts are kept")

    def _rows(self, cell: Cell, batch: list[Prompt]) -> list[TextRow]:
        seeds = [text_seed(self._config.seed, cell.draw, one.prompt_id) for one in batch]
        begun = time.monotonic()
        made = self._writer.write(batch, seeds)
        seconds = (time.monotonic() - begun) / len(batch)
        percent = self._sizes.measure()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return [
            TextRow(
                cell=cell.key,
                prompt_id=prompt.prompt_id,
                task=prompt.task,
                prompt_sha256=self._digests[prompt.prompt_id],
                seed=seed,
                output=text.text,
                is_whole=text.is_whole,
                tokens_in=length,
                tokens_out=text.num_tokens,
                seconds=round(seconds, 4),
                batch_size=len(batch),
                memory_percent=percent,
                timestamp=now,
                device=str(self._placement.device),
                dtype=str(self._placement.dtype).removeprefix("torch."),
            )
            for prompt, seed, (text, length) in zip(batch, seeds, made, strict=True)
        ]

    def _keep(self, rows: Sequence[TextRow] | Sequence[CellRow]) -> None:
        append_rows(self._context.work, rows)
        for row in rows:
            self._known.add(row)
        self._say(rows[0].cell)

    def _say(self, message: str) -> None:
        done = len(self._known.texts) + len(self._known.cells)
        self._context.report(min(done, self._total), self._total, message)
