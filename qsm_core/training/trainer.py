"""The training loop: transformers' Trainer with the loss on the answer, one device, safe restarts.

The logits are computed at the answer's positions alone; over all positions of a batch those of a
large vocabulary would take gigabytes. The dev loss is the mean over the clips of the answer's
negative log-probability, in nats, whatever the training loss is: it can be compared between them.

Legend: B examples of a batch, S tokens, H width of the language model, V vocabulary.
"""

from __future__ import annotations

import gc
import math
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from qsm_core.errors import InterruptedStageError, ModelError
from qsm_core.models.encoder import encode_batch
from qsm_core.models.forward import input_embeddings
from qsm_core.models.loaded_audio_llm import AudioLLM
from qsm_core.stage.context import StageContext
from qsm_core.training.config import LoraTraining
from qsm_core.training.curves import LiveCurves
from qsm_core.training.examples import IGNORED, AnswerExamples, collate
from qsm_core.training.loss import loss_of_answers
from qsm_core.training.progress import CHECKPOINT_MARK, dev_losses, is_exhausted, is_new_best

_LONGEST_INTERVAL = 200  # updates between two checkpoints, by default
_DEV_BATCH = 32
_KEPT = 2


class TrainingSettings(Protocol):
    """What a configuration says about the updates, whatever is trained."""

    @property
    def seed(self) -> int: ...  # noqa: D102 - as in LoraTraining, these all
    @property
    def epochs(self) -> int: ...  # noqa: D102
    @property
    def effective_batch_size(self) -> int: ...  # noqa: D102
    @property
    def micro_batch(self) -> int: ...  # noqa: D102
    @property
    def accumulation_steps(self) -> int: ...  # noqa: D102
    @property
    def learning_rate(self) -> float: ...  # noqa: D102
    @property
    def schedule(self) -> str: ...  # noqa: D102
    @property
    def warmup_fraction(self) -> float: ...  # noqa: D102
    @property
    def weight_decay(self) -> float: ...  # noqa: D102
    @property
    def max_grad_norm(self) -> float: ...  # noqa: D102
    @property
    def eval_every_steps(self) -> int | None: ...  # noqa: D102
    @property
    def patience(self) -> int: ...  # noqa: D102


def answer_loss(
    llm: AudioLLM,
    batch: Mapping[str, Any],
    short_clips: str,
    *,
    gamma: float = 0.0,
    weighted: bool = False,
) -> Tensor:
    """Return the loss of the answers, a scalar: its mean over the batch.

    Args:
        llm: The model, with its adapter.
        batch: As `collate` makes it; `audio` holds embeddings (A, H), or waveforms to encode.
        short_clips: What to do with waveforms too short for the encoder.
        gamma: Exponent of the focal loss; 0: negative log-probability.
        weighted: Whether the clips have the weights of the batch.
    """
    audio = batch["audio"]
    if not isinstance(audio[0], Tensor):
        audio = encode_batch(llm, audio, short_clips=short_clips)
    embeddings = input_embeddings(llm, batch["token_ids"], audio)
    hidden = llm.core.model.language_model(
        inputs_embeds=embeddings,
        attention_mask=batch["attention_mask"].to(embeddings.device),
        use_cache=False,
    ).last_hidden_state
    targets = batch["labels"].to(hidden.device)[:, 1:]
    answer = targets != IGNORED
    logits = llm.core.lm_head(hidden[:, :-1][answer]).float()
    weights = batch["weight"] if weighted else None
    return loss_of_answers(logits, targets, answer, gamma=gamma, weights=weights)


class _OneDevice(TrainingArguments):  # type: ignore[misc] # transformers is taken as untyped
    """Arguments of a training on one device: with more GPUs, Trainer would multiply the batch."""

    @property
    def n_gpu(self) -> int:
        """At most one."""
        return min(1, int(super().n_gpu))


class AnswerTrainer(Trainer):  # type: ignore[misc] # transformers is taken as untyped
    """A Trainer whose loss is `answer_loss`; it divides by the accumulation steps itself."""

    def __init__(self, llm: AudioLLM, config: LoraTraining, **arguments: Any) -> None:
        super().__init__(
            model=llm.model,
            data_collator=partial(collate, pad_token_id=llm.tokenizer.pad_token_id),
            **arguments,
        )
        self._llm = llm
        self._short_clips = config.short_clips
        self._gamma, self._weighted = config.gamma, config.class_weights != "equal"
        self.model_accepts_loss_kwargs = False
        self.remove_callback(PrinterCallback)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,  # noqa: ARG002 - the signature of Trainer
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of one micro-batch: in training as configured, on dev cross-entropy."""
        learns = bool(model.training)
        loss = answer_loss(
            self._llm,
            inputs,
            self._short_clips,
            gamma=self._gamma if learns else 0.0,
            weighted=self._weighted and learns,
        )
        return (loss, {}) if return_outputs else loss


class Watch(TrainerCallback):  # type: ignore[misc] # transformers is taken as untyped
    """Keeps the best adapter, stops early or on request, reports progress, marks whole checkpoints.

    Which adapter is best and when to stop early is decided from the logged history alone, which a
    checkpoint restores, so a training that was killed decides the same.
    """

    def __init__(
        self, model: Any, patience: int, context: StageContext, *, unit: str = "answer"
    ) -> None:
        """Watch a training whose losses are in nats a `unit`."""
        self._model = model
        self._patience = patience
        self._work = context.work
        self._report = context.report
        self._stop_requested = context.stop_requested
        self._reason: str | None = None
        self._curves = LiveCurves(context.work, unit=unit)

    def on_log(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Report progress; refuse to continue from a loss that is not finite."""
        for name in ("loss", "eval_loss"):
            value = (logs or {}).get(name)
            if value is None:
                continue
            if not math.isfinite(value):
                raise ModelError(
                    f"step {state.global_step}: {name} is {value}; the training diverged. Take a "
                    "lower learning_rate, or dtype 'float32'"
                )
            self._report(state.global_step, state.max_steps, f"{_NAMES[name]} {value:.4f}")
        self._curves.update(state.log_history, state.global_step, state.max_steps)

    def on_evaluate(
        self, _args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Keep the adapter if its dev loss is the best so far; stop where patience has ended."""
        history = dev_losses(state.log_history)
        if is_new_best(history):
            keep_adapter(self._model, self._work, state.global_step)
        if is_exhausted(history, self._patience):
            control.should_training_stop = True

    def on_step_end(
        self, _args: TrainingArguments, _state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Save this step, whatever the interval, if the training should stop."""
        self._reason = self._stop_requested()
        if self._reason is not None:
            control.should_save = True

    def on_save(
        self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: Any
    ) -> None:
        """Mark the checkpoint as complete: one that a kill left half-written has no mark.

        Raises:
            InterruptedStageError: The training should stop, and now it can.
        """
        (self._work / f"checkpoint-{state.global_step}" / CHECKPOINT_MARK).touch()
        if self._reason is not None:
            kept = f"step {state.global_step} of {state.max_steps} is kept"
            raise InterruptedStageError(f"{self._reason}; {kept}")


_NAMES = {"loss": "training loss", "eval_loss": "dev loss"}


def keep_adapter(model: Any, work: Path, step: int) -> None:
    """Write the adapter of a step to work/best-<step>, atomically."""
    folder = work / f"best-{step}"
    if not folder.is_dir():
        temporary = work / f"best-{step}.part"
        shutil.rmtree(temporary, ignore_errors=True)
        model.save_pretrained(temporary, save_embedding_layers=False)
        temporary.rename(folder)
    # The previous best is kept: a restart from an older checkpoint may still end with it.
    kept = sorted((p for p in work.glob("best-*") if p.suffix != ".part"), key=_step_of)
    for old in kept[:-_KEPT]:
        shutil.rmtree(old)


def _step_of(folder: Path) -> int:
    return int(folder.name.split("-")[1])


def make_trainer(
    llm: AudioLLM,
    config: LoraTraining,
    train: AnswerExamples,
    dev: AnswerExamples,
    context: StageContext,
    *,
    measure_first: bool,
    dev_batch: int = _DEV_BATCH,
) -> AnswerTrainer:
    """Prepare the training of `llm`'s adapter with checkpoints in the stage's work folder.

    With `measure_first` the dev loss is measured before the first update, too. `dev_batch` is how
    many dev renderings are measured at once.
    """
    arguments = training_arguments(
        config,
        context.work,
        examples=len(train),
        use_cpu=llm.device.type == "cpu",
        measure_first=measure_first,
        dev_batch=dev_batch,
    )
    watch = Watch(llm.model, config.patience, context)
    return AnswerTrainer(
        llm, config, args=arguments, train_dataset=train, eval_dataset=dev, callbacks=[watch]
    )


def training_arguments(
    config: TrainingSettings,
    work: Path,
    *,
    examples: int,
    use_cpu: bool,
    measure_first: bool,
    dev_batch: int = _DEV_BATCH,
    max_steps: int | None = None,
) -> TrainingArguments:
    """Return the arguments of a training with checkpoints in `work`.

    Args:
        config: Settings of the updates.
        work: The stage's work folder.
        examples: Of an epoch.
        use_cpu: Whether the model is on a CPU.
        measure_first: Measure the dev loss before the first update, too.
        dev_batch: How many dev examples are measured at once.
        max_steps: End after so many updates, whatever `config.epochs` says.
    """
    updates = math.ceil(examples / config.effective_batch_size)
    interval = config.eval_every_steps or min(updates, max_steps or updates, _LONGEST_INTERVAL)
    return _OneDevice(
        output_dir=str(work),
        use_cpu=use_cpu,
        seed=config.seed,
        data_seed=config.seed,
        per_device_train_batch_size=config.micro_batch,
        per_device_eval_batch_size=min(_DEV_BATCH, dev_batch),
        gradient_accumulation_steps=config.accumulation_steps,
        num_train_epochs=config.epochs,
        max_steps=max_steps or -1,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=config.warmup_fraction,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        optim="adamw_torch",
        eval_on_start=measure_first,
        eval_strategy="steps",
        eval_steps=interval,
        save_strategy="steps",
        save_steps=interval,
        save_total_limit=_KEPT,
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        prediction_loss_only=True,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=False,
        disable_tqdm=True,
        log_level="error",
        report_to=[],
    )


def seeded(seed: int) -> None:
    """Seed torch's generators, which draw the adapter's first weights and the dropout."""
    torch.manual_seed(seed)


def free_memory() -> None:
    """Give back what a model held that nobody refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
