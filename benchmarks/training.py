"""LoRA training, stock and ours, side by side on the same weights in one process.

    python -m benchmarks.training                # small model, CPU, a minute
    python -m benchmarks.training --size 7b --quantization nf4    # a GPU

Stock is the usual fine-tuning loop: the processor pads every clip to 30 s, the encoder runs in
every step, logits are computed over the whole sequence and vocabulary, and the labels outside of
the answer are masked. Ours encodes every clip once, before the first step, at its own length, and
computes logits where the loss looks. Both losses are printed: they are the same number.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from torch import Tensor, nn

from benchmarks.scoring import (
    ASK,
    SAMPLE_RATE_HZ,
    Workload,
    describe_device,
    make_clips,
    make_model,
)
from qsm_core.inference.config import DEFAULT_SYSTEM_PROMPT
from qsm_core.labels import Label
from qsm_core.models.encoder import encode_clips, num_audio_tokens
from qsm_core.models.loaded_audio_llm import AudioLLM, account_of
from qsm_core.models.memory import LoraShape
from qsm_core.models.peak_memory import measure_peak
from qsm_core.training.config import LoraTraining
from qsm_core.training.examples import AnswerExamples, ExampleMaker, collate
from qsm_core.training.lora_scope import put_lora
from qsm_core.training.trainer import answer_loss, free_memory


def main(
    size: Annotated[Literal["small", "7b"], typer.Option(help="small: CPU; 7b: a GPU.")] = "small",
    seconds: Annotated[str, typer.Option(help="Clip lengths in seconds.")] = "1,2",
    batch: Annotated[int, typer.Option(help="Clips in a step.")] = 4,
    steps: Annotated[int, typer.Option(help="Steps that are timed.")] = 4,
    rank: Annotated[int, typer.Option(help="Of LoRA.")] = 16,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    quantization: Annotated[str, typer.Option(help="none or nf4.")] = "none",
    threads: Annotated[int, typer.Option(help="Of the CPU.")] = 1,
) -> None:
    """Print steps per second, peak memory and the losses of both ways."""
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        llm = make_model(Path(folder) / "model", size, dtype, quantization)
        describe_device(llm)
        config = LoraTraining(seed=0, instructions=(ASK,), rank=rank, dropout=0.0)
        bare = llm
        llm = dataclasses.replace(llm, model=put_lora(llm.model, config))
        typer.echo(
            "| clip s | way | steps/s | ratio | encoding | peak MiB | predicted MiB | loss |\n"
            "|---|---|---|---|---|---|---|---|"
        )
        for length in map(float, seconds.split(",")):
            for row in rows(llm, bare, config, Workload(length, 1, batch), steps):
                typer.echo(row)
            free_memory()


def rows(
    llm: AudioLLM, bare: AudioLLM, config: LoraTraining, load: Workload, steps: int
) -> list[str]:
    """Return the lines of stock and ours for one length of clips."""
    waveforms = make_clips(load)
    labels = [list(Label)[i % 2] for i in range(load.clips)]
    stock = stock_batch(llm, waveforms, labels)
    started = time.perf_counter()
    audio = encode_clips(bare, waveforms)
    encoding_s = time.perf_counter() - started
    ours = our_batch(llm, config, audio, labels, num_audio_tokens(len(waveforms[0])))
    learned = [p for p in llm.model.parameters() if p.requires_grad]
    standing = sum(p.numel() * p.element_size() for p in llm.model.parameters())
    standing += sum(2 * p.numel() * p.element_size() for p in learned)
    lora = LoraShape(config.rank, dropout=config.dropout)
    predicted = account_of(llm).training(load.clips, 1000 * load.seconds, lora)
    lines, speeds = [], []
    for name, loss in (
        ("stock", lambda: stock_loss(llm, stock)),
        ("ours", lambda: answer_loss(llm, ours, "refuse")),
    ):
        optimizer = torch.optim.AdamW(learned, lr=0.0)
        value = float(loss().detach())
        speeds.append(steps_per_second(llm, loss, optimizer, steps))
        peak = measure_peak(lambda m=loss, o=optimizer: step(m, o), llm.device) + standing
        cells = [f"{load.seconds:g}", name, f"{speeds[-1]:.2f}", f"{speeds[-1] / speeds[0]:.1f}"]
        cells += [f"{encoding_s:.2f} s" if name == "ours" else "in every step"]
        cells += [f"{peak / 2**20:.0f}", f"{predicted / 2**20:.0f}" if name == "ours" else ""]
        lines.append("| " + " | ".join([*cells, f"{value:.6f}"]) + " |")
    return lines


def steps_per_second(
    llm: AudioLLM, loss: Callable[[], Tensor], optimizer: torch.optim.Optimizer, steps: int
) -> float:
    """Return the speed of training steps, after one that warms up."""
    step(loss, optimizer)
    started = time.perf_counter()
    for _ in range(steps):
        step(loss, optimizer)
    if llm.device.type == "cuda":
        torch.cuda.synchronize(llm.device)
    return steps / (time.perf_counter() - started)


def step(loss: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> None:
    """Make one update."""
    loss().backward()
    optimizer.step()
    optimizer.zero_grad()


def our_batch(
    llm: AudioLLM,
    config: LoraTraining,
    audio: list[Tensor],
    labels: list[Label],
    audio_tokens: int,
) -> dict[str, object]:
    """Return a batch as the stage `train_lora` makes it."""
    maker = ExampleMaker(llm, config.instructions, config.answer_format, config.system_prompt)
    made = [maker.make(ASK, label, audio_tokens) for label in labels]
    examples = AnswerExamples(made, audio)
    return collate([examples[i] for i in range(len(made))], llm.tokenizer.pad_token_id)


def stock_batch(llm: AudioLLM, waveforms: list[np.ndarray], labels: list[Label]) -> Any:
    """Return a batch of the stock processor, and its labels masked outside of the answer."""
    user = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": ASK}]
    head = [{"role": "system", "content": DEFAULT_SYSTEM_PROMPT}, {"role": "user", "content": user}]
    asked = llm.processor.apply_chat_template(head, tokenize=False, add_generation_prompt=True)
    llm.tokenizer.padding_side = "right"
    inputs = llm.processor(
        text=[f"{asked}{label}<|im_end|>" for label in labels],
        audio=list(waveforms),
        sampling_rate=SAMPLE_RATE_HZ,
        return_tensors="pt",
        padding=True,
    ).to(llm.device)
    llm.tokenizer.padding_side = "left"
    prompt = llm.processor(
        text=[asked], audio=[waveforms[0]], sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt"
    )["input_ids"].shape[1]
    targets = inputs["input_ids"].clone()
    targets[:, :prompt] = -100
    targets[inputs["attention_mask"] == 0] = -100
    return {**inputs, "labels": targets}


def stock_loss(llm: AudioLLM, batch: Any) -> Tensor:
    """Return the loss over full logits: negative log-probability of an answer, as ours."""
    targets = batch["labels"]
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    logits = llm.model(**inputs).logits[:, :-1].float()
    total = nn.functional.cross_entropy(
        logits.flatten(0, 1), targets[:, 1:].flatten(), ignore_index=-100, reduction="sum"
    )
    return total / len(targets)


if __name__ == "__main__":
    typer.run(main)
