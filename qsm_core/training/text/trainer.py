"""The training loop of a text model: transformers' Trainer with the loss on the answers.

Logits are computed from the first answer of a batch on; over whole prompts those of a large
vocabulary would take gigabytes.

Legend: B examples of a batch, S tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PrinterCallback, Trainer

from qsm_core.models.text.loading import LoadedTextModel
from qsm_core.stage.context import StageContext
from qsm_core.training.examples import IGNORED
from qsm_core.training.text.config import TextTraining
from qsm_core.training.text.examples import TextExamples, collate
from qsm_core.training.trainer import Watch, training_arguments

UNIT = "token"  # losses are in nats a token


def text_loss(model: Any, batch: Mapping[str, Tensor]) -> Tensor:
    """Return the loss of the answers in nats a token, a scalar: its mean over the batch.

    Each answer counts the same, however long it is, so that the loss does not depend on how a batch
    is cut into micro-batches.

    Args:
        model: A causal language model.
        batch: As `collate` makes it.
    """
    labels = batch["labels"]
    first = int((labels != IGNORED).int().argmax(dim=1).min())
    width = labels.shape[1]
    output = model(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        use_cache=False,
        logits_to_keep=width - first + 1,
    )
    targets = labels[:, first:]
    logits = output.logits[:, -(targets.shape[1] + 1) : -1].float()
    seen = targets != IGNORED
    nats = nn.functional.cross_entropy(logits[seen], targets[seen], reduction="none")
    rows = seen.nonzero()[:, 0]
    sums = nats.new_zeros(len(targets)).index_add(0, rows, nats)
    return (sums / seen.sum(dim=1)).mean()


class TextTrainer(Trainer):  # type: ignore[misc] # transformers is taken as untyped
    """A Trainer whose loss is `text_loss`; it divides by the accumulation steps itself."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.model_accepts_loss_kwargs = False
        self.remove_callback(PrinterCallback)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,  # noqa: ARG002 - the signature of Trainer
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of one micro-batch."""
        loss = text_loss(model, inputs)
        return (loss, {}) if return_outputs else loss


def make_text_trainer(
    model: LoadedTextModel,
    config: TextTraining,
    train: TextExamples,
    dev: TextExamples,
    context: StageContext,
    *,
    measure_first: bool,
) -> TextTrainer:
    """Prepare the training of an adapter with checkpoints in the stage's work folder.

    With `measure_first` the dev loss is measured before the first update, too.
    """
    padding = model.tokenizer.pad_token_id
    collator = partial(collate, pad_token_id=0 if padding is None else int(padding))
    arguments = training_arguments(
        config,
        context.work,
        examples=len(train),
        use_cpu=model.placement.device.type == "cpu",
        measure_first=measure_first,
        dev_batch=config.micro_batch,
        max_steps=config.steps,
    )
    return TextTrainer(
        model=model.model,
        args=arguments,
        data_collator=collator,
        train_dataset=train,
        eval_dataset=dev,
        callbacks=[Watch(model.model, config.patience, context, unit=UNIT)],
    )


def set_threads(context: StageContext) -> None:
    """Use as many threads as the runtime says."""
    if context.runtime.get("threads") is not None:
        torch.set_num_threads(int(context.runtime["threads"]))
