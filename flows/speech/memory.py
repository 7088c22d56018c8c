"""Do the models fit? Told in the plan, and before anything is queued where it can be known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.speech.parameters import PipelineParameters
from qsm_core.errors import ConfigurationError
from qsm_core.models.memory import Device, LoraShape, gib, plan_memory
from qsm_core.models.shape import ModelShape
from qsm_core.models.text.sharing import needed_bytes, sharing_of
from tasks.workers.gpus import has_gpu, model_memory_bytes
from tasks.workers.slurm.profile_loader import LOCAL

_CONTAINER_MS = 2000.0  # what a rendered clip is set into
_UNKNOWN = "not known here"


class RunMemory:
    """What the stages of a run need at most; each kind of work is added when it is planned.

    On a cluster the device is not known here, and nothing is said to be too large for it.
    """

    def __init__(self, parameters: PipelineParameters, model: Path) -> None:
        """Predict the peaks of scoring and of training.

        Args:
            parameters: Of the run.
            model: Folder of the model.

        Raises:
            ModelError: The folder has no configuration.
            ConfigurationError: The model does not fit, whatever the batch.
        """
        p = self._parameters = parameters
        local = p.cluster == LOCAL
        self._device: Device = "cuda" if not local or has_gpu(p.device) else "cpu"
        self.plan = plan_memory(
            ModelShape.read(model),
            quantization=str(p.quantization),
            clip_ms=float(p.clip_ms) if p.conditions == "as_recorded" else _CONTAINER_MS,
            lora=_lora_shape(p),
            device=self._device,
            scoring_batch=p.batch_size,
            effective_batch=p.effective_batch_size,
            available_bytes=model_memory_bytes(p.device) if local else None,
        )
        self._rows = [
            ("weights", self.plan.weights, ""),
            ("scoring", self.plan.scoring, f"{self.plan.scoring_batch} clips at once"),
        ]
        self._refuse("scoring")

    def add_training(self) -> None:
        """Plan to train LoRA.

        Raises:
            ConfigurationError: That does not fit; says what it needs and what to do.
        """
        self._refuse("training")
        self._add("training", self.plan.training, f"{self.plan.micro_batch} clips at once")

    def add_optimizer(self, folder: Path) -> None:
        """Plan to load an optimizer LLM beside the model that scores.

        Raises:
            ConfigurationError: It does not fit on the device even alone.
        """
        p = self._parameters
        number_bytes = 2 if self._device == "cuda" else 4
        quantization = str(p.optimizer_quantization)
        need = needed_bytes(folder, quantization=quantization, number_bytes=number_bytes)
        there = self.plan.available
        if there is None:
            self._add("optimizer LLM", need, "stays or is freed, as there is room")
            return
        if need > there:
            problem = (
                f"optimizer_model = {p.optimizer_model!r}: needs {gib(need)} and {gib(there)} are "
                "there: take optimizer_quantization 'nf4', a smaller model, or a server "
                "(optimizer_url)"
            )
            raise ConfigurationError("the optimizer LLM does not fit", [problem])
        self._add("optimizer LLM", need, sharing_of(need, there - self.plan.weights).value)

    def rows(self) -> list[dict[str, Any]]:
        """Return the prediction as rows of a table."""
        there = _UNKNOWN if self.plan.available is None else gib(self.plan.available)
        return [
            {"what": what, "predicted peak": gib(size), "with": how, "there": there}
            for what, size, how in self._rows
        ]

    def _add(self, *row: Any) -> None:
        if row not in self._rows:  # two searches have one optimizer LLM
            self._rows.append(row)

    def _refuse(self, work: str) -> None:
        problems = [text for text in self.plan.problems if text.startswith(work)]
        if problems:
            title = f"model {self._parameters.model!r} does not fit"
            raise ConfigurationError(title, problems)


def _lora_shape(p: PipelineParameters) -> LoraShape:
    return LoraShape(
        rank=p.lora_rank or 1,
        targets=p.lora_targets,
        include_encoder=p.tune_encoder,
        dropout=p.lora_dropout,
        gradient_checkpointing=p.gradient_checkpointing,
    )
