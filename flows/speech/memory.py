"""Whether the models of a run fit on their device: the plan says so, or the run is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from flows.speech.parameters import PipelineParameters
from flows.speech.parity_parameters import ParityParameters
from qsm_core.conditions.config import AS_RECORDED
from qsm_core.errors import ConfigurationError
from qsm_core.models.memory import Device, LoraShape, gib, plan_memory
from qsm_core.models.shape import ModelShape
from qsm_core.models.text.device_sharing import needed_bytes, sharing_of
from qsm_core.stage.workload import Row
from tasks.workers.gpus import has_gpu, model_memory_bytes

MEMORY_TABLE = "Memory of the model's device"
_CONTAINER_MS = 2000.0  # what a rendered clip is set into
_UNKNOWN = "not known here"


@dataclass(frozen=True)
class ModelUse:
    """A model and how a run uses it.

    Args:
        model: What the user calls it.
        folder: Where it is.
        quantization: "none" or "nf4".
        device: "auto", "cpu" or "cuda".
        is_local: Whether it runs on this machine; on a cluster the device is not known here.
        clip_ms: Longest audio that it hears.
        batch_size: Clips scored at once; None: as many as fit.
        lora: What is trained on top of it.
        effective_batch_size: Clips of one update of that training.
        micro_batch_size: Clips of one of its forward passes; None: as many as fit.
    """

    model: str
    folder: Path
    quantization: str
    device: str
    is_local: bool
    clip_ms: float
    batch_size: int | None = None
    lora: LoraShape = field(default_factory=LoraShape)
    effective_batch_size: int = 1
    micro_batch_size: int | None = None


class RunMemory:
    """What the stages of a run need at most; each kind of work is added when it is planned.

    On a cluster the device is not known here, and nothing is refused as too large for it.
    """

    def __init__(self, use: ModelUse) -> None:
        """Predict the peaks of scoring and of training.

        Raises:
            ModelError: The folder has no configuration.
            ConfigurationError: The model does not fit, whatever the batch.
        """
        self._use = use
        self._device: Device = "cuda" if not use.is_local or has_gpu(use.device) else "cpu"
        self.plan = plan_memory(
            ModelShape.read(use.folder),
            quantization=use.quantization,
            clip_ms=use.clip_ms,
            lora=use.lora,
            device=self._device,
            scoring_batch=use.batch_size,
            micro_batch=use.micro_batch_size,
            effective_batch=use.effective_batch_size,
            available_bytes=model_memory_bytes(use.device) if use.is_local else None,
        )
        self.rows: list[Row] = []
        self._add("weights", self.plan.weights, "")
        self._add("scoring", self.plan.scoring, f"{self.plan.scoring_batch} clips at once")
        self._refuse("scoring")

    @classmethod
    def of_pipeline(cls, p: PipelineParameters, folder: Path) -> RunMemory:
        """Return the prediction for the model of the main job."""
        lora = LoraShape(
            rank=p.lora_rank or 1,
            targets=p.lora_targets or "attention",
            tune_encoder=p.tune_encoder,
            dropout=p.lora_dropout,
            gradient_checkpointing=p.gradient_checkpointing,
        )
        use = ModelUse(
            model=str(p.model),
            folder=folder,
            quantization=str(p.quantization),
            device=p.device,
            is_local=p.is_local,
            clip_ms=float(p.clip_ms) if p.conditions == AS_RECORDED else _CONTAINER_MS,
            batch_size=p.batch_size,
            lora=lora,
            effective_batch_size=p.effective_batch_size,
            micro_batch_size=p.micro_batch_size,
        )
        return cls(use)

    @classmethod
    def of_parity(cls, p: ParityParameters, folder: Path) -> RunMemory:
        """Return the prediction for the model of a parity check."""
        use = ModelUse(
            model=str(p.model),
            folder=folder,
            quantization=str(p.quantization),
            device=p.device,
            is_local=p.is_local,
            clip_ms=float(p.clip_ms),
        )
        return cls(use)

    def add_training(self) -> None:
        """Plan to train LoRA.

        Raises:
            ConfigurationError: That does not fit; says what it needs and what to do.
        """
        self._refuse("training")
        self._add("training", self.plan.training, f"{self.plan.micro_batch} clips at once")

    def add_optimizer(self, p: PipelineParameters, folder: Path) -> None:
        """Plan to load an optimizer LLM beside the model that scores.

        Raises:
            ConfigurationError: It does not fit on the device even alone.
        """
        number_bytes = 2 if self._device == "cuda" else 4
        quantization = str(p.optimizer_quantization)
        need = needed_bytes(folder, quantization=quantization, number_bytes=number_bytes)
        available = self.plan.available
        if available is None:
            self._add("optimizer LLM", need, "stays or is freed, as there is room")
            return
        if need > available:
            problem = (
                f"optimizer_model = {p.optimizer_model!r}: needs {gib(need)}, and the device has "
                f"{gib(available)}: take optimizer_quantization 'nf4', a smaller model, or a "
                "server (optimizer_url)"
            )
            raise ConfigurationError("the optimizer LLM does not fit", [problem])
        self._add("optimizer LLM", need, sharing_of(need, available - self.plan.weights).value)

    def _add(self, what: str, size: int, how: str) -> None:
        available = _UNKNOWN if self.plan.available is None else gib(self.plan.available)
        row = {"what": what, "predicted peak": gib(size), "with": how, "there": available}
        if row not in self.rows:  # two searches have one optimizer LLM
            self.rows.append(row)

    def _refuse(self, work: str) -> None:
        problems = [text for text in self.plan.problems if text.startswith(work)]
        if problems:
            raise ConfigurationError(f"model {self._use.model!r} does not fit", problems)
