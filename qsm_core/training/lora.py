"""Stage `train_lora`: fit a LoRA adapter on the train split, keep the state that is best on dev.

Inputs: `train` and `dev` (a prepared corpus, or the part of one with that split), `model` (folder
of the base model), optional `rirs`. Output: a plain PEFT adapter with adapter_card.json, README.md
and training_log.csv. Test clips are neither read nor counted. With the audio encoder frozen, every
clip is encoded once, before training.

    python -m qsm_core.training.lora --spec spec.json
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from qsm_core.labels import Label, Split
from qsm_core.models.adapter_files import CONFIG_FILE, WEIGHTS_FILE
from qsm_core.models.architectures import architecture_in
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.encoder import encode_clips, prepare_clips
from qsm_core.models.encoder_cache import open_encoder_cache
from qsm_core.models.loaded_audio_llm import AudioLLM
from qsm_core.seeding import derive_seed
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry
from qsm_core.store.digests import digest_folder
from qsm_core.store.layout import VOLATILE_FOLDER
from qsm_core.training.card import TrainingOutcome, data_counts, make_card, write_card
from qsm_core.training.clips import TrainingClips, read_clips
from qsm_core.training.config import LoraTraining, check_updates
from qsm_core.training.examples import (
    AnswerExamples,
    ExampleMaker,
    audio_tokens_of,
    draw_instructions,
)
from qsm_core.training.fitting import fit
from qsm_core.training.lora_scope import count_parameters, put_lora, target_modules
from qsm_core.training.loss import class_weights
from qsm_core.training.progress import best_step, dev_losses, write_log
from qsm_core.training.trainer import free_memory, seeded

LOG_FILE = "training_log.csv"
_SPLITS: tuple[Split, Split] = ("train", "dev")


def run(context: StageContext) -> dict[str, Any]:
    """Train an adapter; a restart continues from the last checkpoint.

    Raises:
        InterruptedStageError: The training was asked to stop; its last step is a checkpoint.
        ConfigurationError: Values that cannot work.
        DataError: A split lacks a class, or its clips cannot be used.
        ModelError: The model cannot be used, the training diverged, or the adapter does nothing.
    """
    config = parse_config(LoraTraining, context.config)
    rirs = context.inputs.get("rirs")
    parts = _Parts(*(read_clips(context.inputs[split], rirs, split, config) for split in _SPLITS))
    check_updates(config, len(parts.train.plan))
    trained = _train(context, config, parts)
    free_memory()  # before the base model is loaded again, to check the adapter around it
    _write_output(context, config, trained, parts)
    _check_output(context, config)
    return {
        **dataclasses.asdict(trained.outcome),
        "train_renderings": len(parts.train.plan),
        "dev_renderings": len(parts.dev.plan),
        "device": trained.device,
        "micro_batch_size": trained.timings["micro_batch_size"],
        "memory_ran_out": trained.timings["memory_ran_out"],
    }


@dataclass(frozen=True)
class _Parts:
    """The renderings of the two splits that a training uses."""

    train: TrainingClips
    dev: TrainingClips


@dataclass(frozen=True)
class _Trained:
    """What a training returns; the weights are in the work folder."""

    outcome: TrainingOutcome
    history: list[dict[str, Any]]
    answers: dict[str, dict[str, str]]
    device: str
    timings: dict[str, float | str]


def _train(context: StageContext, config: LoraTraining, parts: _Parts) -> _Trained:
    started = time.monotonic()
    base = load_audio_llm(
        context.inputs["model"],
        quantization=config.quantization,
        device=str(context.runtime.get("device", "auto")),
        attention=str(context.runtime.get("attention", "auto")),
    )
    maker = ExampleMaker(base, config.instructions, config.answer_format, config.system_prompt)
    train = _examples(base, maker, config, parts.train, context)
    dev = _examples(base, maker, config, parts.dev, context)
    prepared = time.monotonic()
    llm = _with_new_adapter(base, config)
    fitted = fit(llm, config, train, dev, context)
    return _Trained(
        outcome=_outcome(llm, fitted.history, fitted.planned_steps),
        history=fitted.history,
        answers={
            text: {str(label): answer for label, answer in answers.items()}
            for text, answers in maker.answers.items()
        },
        device=base.reason,
        timings={
            "preparation_s": prepared - started,
            "training_s": time.monotonic() - prepared,
            "micro_batch_size": fitted.micro_batch,
            "micro_batch_reason": fitted.reason,
            "memory_ran_out": fitted.halvings,
        },
    )


def _examples(
    llm: AudioLLM,
    maker: ExampleMaker,
    config: LoraTraining,
    clips: TrainingClips,
    context: StageContext,
) -> AnswerExamples:
    waveforms = prepare_clips(clips.waveforms, config.short_clips)
    instructions = draw_instructions(clips.plan, config.instructions, config.seed_of_data)
    labels = [Label(label) for label in clips.plan["label"]]
    weights = class_weights(config.class_weights, labels)
    examples = [
        maker.make(instruction, label, audio_tokens_of(waveform), weight=weights[label])
        for instruction, label, waveform in zip(instructions, labels, waveforms, strict=True)
    ]
    return AnswerExamples(examples, _audio(llm, config, waveforms, context))


def _audio(
    llm: AudioLLM, config: LoraTraining, waveforms: Sequence[np.ndarray], context: StageContext
) -> Sequence[Tensor] | Sequence[np.ndarray]:
    """Return audio embeddings if the encoder stays frozen, else the waveforms."""
    if config.projections.encoder:
        return waveforms

    def advance(done: int) -> None:
        context.stop_if_requested("the last checkpoint, if there is one, is kept")
        context.report(done, len(waveforms), "clips encoded")

    cache = open_encoder_cache(llm, context.runtime.get("encoder_cache"))
    return encode_clips(
        llm, waveforms, short_clips=config.short_clips, cache=cache, advance=advance
    )


def _with_new_adapter(base: AudioLLM, config: LoraTraining) -> AudioLLM:
    seeded(derive_seed(config.seed, "adapter"))
    return dataclasses.replace(base, model=put_lora(base.model, config))


def _outcome(llm: AudioLLM, history: list[dict[str, Any]], planned: int) -> TrainingOutcome:
    losses = dev_losses(history)
    step, loss = best_step(losses)
    trainable, total = count_parameters(llm.model)
    return TrainingOutcome(
        best_step=step,
        best_dev_loss=loss,
        first_dev_loss=losses[0][1],
        steps=losses[-1][0],
        planned_steps=planned,
        trainable_parameters=trainable,
        all_parameters=total,
    )


def _write_output(
    context: StageContext, config: LoraTraining, trained: _Trained, parts: _Parts
) -> None:
    best = context.work / f"best-{trained.outcome.best_step}"
    shutil.copyfile(best / WEIGHTS_FILE, context.out / WEIGHTS_FILE)
    adapter = json.loads((best / CONFIG_FILE).read_text(encoding="utf-8"))
    # PEFT writes the path of the base on this machine; others can only use its name.
    adapter["base_model_name_or_path"] = config.base_model
    text = json.dumps(adapter, indent=2, sort_keys=True) + "\n"
    (context.out / CONFIG_FILE).write_text(text, encoding="utf-8")
    write_log(context.out / LOG_FILE, trained.history)
    card = make_card(
        config,
        trained.outcome,
        scope=target_modules(config.projections),
        base_digest=digest_folder(context.inputs["model"]),
        model_class=architecture_in(context.inputs["model"]).model_class,
        answers=trained.answers,
        data={"train": data_counts(parts.train.plan), "dev": data_counts(parts.dev.plan)},
    )
    write_card(context.out, card)
    folder = context.out / VOLATILE_FOLDER
    folder.mkdir(exist_ok=True)
    timings = json.dumps(trained.timings, indent=2) + "\n"
    (folder / "timings.json").write_text(timings, encoding="utf-8")


def _check_output(context: StageContext, config: LoraTraining) -> None:
    """Load the adapter as a user would, to check that it is complete and changes the logits."""
    load_audio_llm(
        context.inputs["model"],
        adapter=context.out,
        quantization=config.quantization,
        device=str(context.runtime.get("device", "auto")),
        attention=str(context.runtime.get("attention", "auto")),
        self_test=False,
    )


if __name__ == "__main__":
    run_entry(run)
