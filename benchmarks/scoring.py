"""Stock scoring and ours, side by side on the same weights in one process.

    python -m benchmarks.scoring                 # small model, CPU, two minutes
    python -m benchmarks.scoring --size 7b       # sizes of Qwen2-Audio-7B, random weights, a GPU

Stock is what a user of transformers writes: the processor pads every clip to 30 s, and `generate`
answers each pair of a clip and an instruction, at its best batch size. It makes one token here,
the fewest that it can; answers of several tokens would cost it as many steps. Ours is what
evaluations and prompt searches run: encoder cut to the clip, run once; the system turn once for all
clips, the audio once for all instructions; one forward pass.

FLOPs are counted by torch while each path runs (matrix products, convolutions and attention).
"needed" is what no way of computing the same answers could leave out: every clip once through the
encoder at its own length, every token once and the system turn once for all, one row of logits for
each answer.
"""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from qsm_core.inference.config import DEFAULT_SYSTEM_PROMPT
from qsm_core.inference.prompt import prompt_parts
from qsm_core.inference.scoring import InstructionScorer
from qsm_core.models.audio_llm import load_audio_llm
from qsm_core.models.batching import is_out_of_memory
from qsm_core.models.loaded_audio_llm import AudioLLM, account_of
from qsm_core.models.peak_memory import measure_peak
from qsm_core.models.savings import Savings
from qsm_core.models.shape import ModelShape
from qsm_core.models.small_audio_llm import build_small_audio_llm

ASK = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."
SAMPLE_RATE_HZ = 16_000
_LONG_S = 10.0
# Shares of the work between encoder and language model as in the 7B model, at a size for a CPU.
SMALL: dict[str, Any] = {
    "vocab_size": 1024,
    "encoder_layers": 4,
    "encoder_dim": 160,
    "text_layers": 4,
    "text_dim": 512,
    "heads": 4,
    "text_ffn_dim": 1376,
}


def _attention_flops(query: Any, key: Any, value: Any, *_: object, **__: object) -> int:
    """Count attention on a CPU, which torch leaves out."""
    return int(sdpa_flop_count(query, key, value))


_ATTENTION_ON_CPU = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops  # noqa: SLF001
}

_HEAD = (
    "| clip s | instructions | stock s | ours s | ratio | pairs/s stock | pairs/s ours | "
    "GFLOP stock | GFLOP ours | ours/needed | peak MiB stock | peak MiB ours |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Workload:
    """One cell of the table: clips of one length under a number of instructions."""

    seconds: float
    instructions: int
    clips: int

    @property
    def pairs(self) -> int:
        """Clips times instructions."""
        return self.clips * self.instructions


@dataclass(frozen=True)
class Measured:
    """What one way of scoring took."""

    seconds: float
    batch: int
    flops: float
    peak_bytes: int


def main(
    size: Annotated[Literal["small", "7b"], typer.Option(help="small: CPU; 7b: a GPU.")] = "small",
    seconds: Annotated[str, typer.Option(help="Clip lengths in seconds.")] = "0.2,1,2,10,30",
    instructions: Annotated[str, typer.Option(help="Numbers of instructions.")] = "1,8,32",
    batches: Annotated[str, typer.Option(help="Batch sizes; the best of each way counts.")] = "",
    clips: Annotated[int, typer.Option(help="Clips in a cell; fewer of 10 s and more.")] = 0,
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")] = "auto",
    quantization: Annotated[str, typer.Option(help="none or nf4.")] = "none",
    threads: Annotated[int, typer.Option(help="Of the CPU.")] = 1,
    quick: Annotated[bool, typer.Option(help="The few cells that CI looks at.")] = False,
    compiled: Annotated[bool, typer.Option(help="Also ours under torch.compile.")] = False,
) -> None:
    """Print a table of both ways, and where the time of ours goes."""
    torch.set_num_threads(threads)
    if quick:
        seconds, instructions, clips, batches = "1", "1,8", 4, "4"
    count = clips or (4 if size == "small" else 64)
    sizes = [int(b) for b in (batches or ("1,4" if size == "small" else "1,8,32,64")).split(",")]
    with tempfile.TemporaryDirectory() as folder:
        llm = make_model(Path(folder) / "model", size, dtype, quantization)
        describe_device(llm)
        typer.echo(_HEAD)
        for row in table(llm, seconds, instructions, count, sizes):
            typer.echo(row)
        profile_ours(llm, Workload(1.0, 8, count), max(sizes))
        if compiled:
            compile_ours(llm, count, max(sizes))


def make_model(folder: Path, size: str, dtype: str, quantization: str) -> AudioLLM:
    """Write a model with random weights and load it: speed does not depend on the weights."""
    if size == "small":
        build_small_audio_llm(folder, texts=[ASK, DEFAULT_SYSTEM_PROMPT], **SMALL)
        return load_audio_llm(
            folder, device="cpu", dtype=dtype, quantization=quantization, self_test=False
        )
    from benchmarks.full_size import build_full_size

    build_full_size(folder, [ASK, DEFAULT_SYSTEM_PROMPT])
    return load_audio_llm(folder, dtype=dtype, quantization=quantization, self_test=False)


def describe_device(llm: AudioLLM) -> None:
    """Print what is measured, and on what."""
    shape = ModelShape.from_config(llm.core.config.to_dict())
    device = platform.processor() or platform.machine()
    if llm.device.type == "cuda":
        device = torch.cuda.get_device_name(llm.device)
    typer.echo(
        f"{datetime.now(UTC):%Y-%m-%d}, {device}, {torch.get_num_threads()} CPU threads, torch "
        f"{torch.__version__}, {shape.parameters / 1e6:.1f} M parameters, {llm.dtype}, "
        f"quantization {llm.quantization}\n"
    )


def table(
    llm: AudioLLM, seconds: str, instructions: str, count: int, batches: Sequence[int]
) -> Iterator[str]:
    """Yield one line a cell."""
    for length in map(float, seconds.split(",")):
        clips = count if length < _LONG_S else max(2, count // 4)
        waveforms = make_clips(Workload(length, 1, clips))
        # Nothing is shared between instructions there, so each takes what the first one takes.
        stock = best(batches, lambda b, w=waveforms: score_stock(llm, w, ASK, b), llm)
        for number in map(int, instructions.split(",")):
            load, texts = Workload(length, number, clips), make_instructions(number)
            ours = best(batches, lambda b, w=waveforms, t=texts: score_ours(llm, w, t, b), llm)
            yield line(load, stock, ours, needed_flops(llm, load, texts))


def line(load: Workload, stock: Measured, ours: Measured, needed: float) -> str:
    """Return one line of the table; `stock` is for one instruction."""
    factor = load.instructions
    stock_s = stock.seconds * factor
    cells = [
        f"{load.seconds:g}",
        f"{load.instructions}",
        f"{stock_s:.2f} (batch {stock.batch})",
        f"{ours.seconds:.2f} (batch {ours.batch})",
        f"{stock_s / ours.seconds:.1f}",
        f"{load.pairs / stock_s:.1f}",
        f"{load.pairs / ours.seconds:.1f}",
        f"{stock.flops * factor / 1e9:.1f}",
        f"{ours.flops / 1e9:.1f}",
        f"{ours.flops / needed:.2f}",
        f"{stock.peak_bytes / 2**20:.0f}",
        f"{ours.peak_bytes / 2**20:.0f}",
    ]
    return "| " + " | ".join(cells) + " |"


def best(batches: Sequence[int], work: Callable[[int], object], llm: AudioLLM) -> Measured:
    """Time each batch size that fits into memory and describe the fastest."""
    timed: dict[int, float] = {}
    for batch in batches:
        try:
            work(batch)  # warms up
            timed[batch] = min(clock(lambda b=batch: work(b), llm) for _ in range(2))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
    if not timed:
        raise typer.BadParameter("no batch size fits into memory")
    fastest = min(timed, key=timed.__getitem__)
    with FlopCounterMode(display=False, custom_mapping=_ATTENTION_ON_CPU) as counter:
        work(fastest)
    peak = measure_peak(lambda: work(fastest), llm.device)
    return Measured(timed[fastest], fastest, float(counter.get_total_flops()), peak)


def clock(work: Callable[[], object], llm: AudioLLM) -> float:
    """Return the seconds of one call."""
    started = time.perf_counter()
    work()
    if llm.device.type == "cuda":
        torch.cuda.synchronize(llm.device)
    return time.perf_counter() - started


def score_ours(
    llm: AudioLLM, waveforms: Sequence[np.ndarray], texts: Sequence[str], batch: int
) -> None:
    """Score as a prompt search does."""
    scorer = InstructionScorer(llm, batch_size=batch, savings=Savings(answer_rows=True))
    scorer.score_many(scorer.encode(waveforms), texts)


def score_stock(llm: AudioLLM, waveforms: Sequence[np.ndarray], text: str, batch: int) -> None:
    """Score as a user of transformers does."""
    prompt = chat(llm, text)
    for start in range(0, len(waveforms), batch):
        part = list(waveforms[start : start + batch])
        inputs = llm.processor(
            text=[prompt] * len(part),
            audio=part,
            sampling_rate=SAMPLE_RATE_HZ,
            return_tensors="pt",
            padding=True,
        ).to(llm.device)
        with torch.no_grad():
            llm.model.generate(**inputs, max_new_tokens=1, do_sample=False)


def chat(llm: AudioLLM, text: str) -> str:
    """Return the prompt of one instruction."""
    user = [{"type": "audio", "audio_url": "clip"}, {"type": "text", "text": text}]
    messages = [
        {"role": "system", "content": DEFAULT_SYSTEM_PROMPT},
        {"role": "user", "content": user},
    ]
    prompt: str = llm.processor.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True
    )
    return prompt


def needed_flops(llm: AudioLLM, load: Workload, texts: Sequence[str]) -> float:
    """Return the FLOPs that answering takes at least; see the module."""
    shape = ModelShape.from_config(llm.core.config.to_dict())
    mel = round(100 * load.seconds)
    frames = (mel + 1) // 2
    audio = frames // 2
    d, h = shape.encoder_width, shape.width
    convolutions = 2 * 3 * d * (shape.mel_bins * 2 * frames + d * frames)
    layers = 2 * shape.encoder_layers * (4 * d * d + 2 * d * shape.encoder_ffn) * frames
    encoder = convolutions + layers + 4 * shape.encoder_layers * d * frames**2
    encoder += 2 * d * h * audio
    parts = [prompt_parts(llm, text) for text in texts]
    system, afters = len(parts[0].before), [len(part.after) for part in parts]
    token = 2 * (2 * h * h + 2 * h * shape.kv_width + 3 * h * shape.ffn) * shape.layers
    pair = 4 * h * shape.layers  # a query with a key, and its value

    def text(tokens: int, behind: int) -> float:
        return token * tokens + pair * tokens * (behind + (tokens + 1) / 2)

    each = text(audio, system) + sum(text(after, system + audio) for after in afters)
    heads = 2 * h * 4 * len(texts)  # two answers, with and without a space before them
    return text(system, 0) + load.clips * (encoder + each + heads)


def make_clips(load: Workload) -> list[np.ndarray]:
    """Return noise; speed does not depend on what is heard."""
    rng = np.random.default_rng(0)
    shape = (load.clips, round(load.seconds * SAMPLE_RATE_HZ))
    return list((0.1 * rng.standard_normal(shape)).astype(np.float32))


def make_instructions(count: int) -> list[str]:
    """Return different instructions of about one length."""
    return [f"{number}. {ASK}" for number in range(count)]


def profile_ours(llm: AudioLLM, load: Workload, batch: int) -> None:
    """Print where the time of our way goes: the next thing to make faster."""
    waveforms, texts = make_clips(load), make_instructions(load.instructions)
    score_ours(llm, waveforms, texts, batch)
    with torch.profiler.profile() as profiler:
        score_ours(llm, waveforms, texts, batch)
    on_gpu = llm.device.type == "cuda"
    order = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    times = {one.key: float(getattr(one, order)) for one in profiler.key_averages()}
    whole = sum(times.values())
    largest = sorted(times.items(), key=lambda one: -one[1])[:8]
    typer.echo(f"\nwhere the time goes ({load.seconds:g} s, {load.instructions} instructions):")
    for name, spent in largest:
        typer.echo(f"  {100 * spent / whole:5.1f} %  {name}")
    account = account_of(llm)
    cached = len(prompt_parts(llm, texts[0]).before) + round(25 * load.seconds)
    size = 2 * account.shape.kv_width * account.e * account.shape.layers * cached
    typer.echo(f"  prefix in the key-value cache: {size / 2**20:.2f} MiB a clip")


def compile_ours(llm: AudioLLM, count: int, batch: int) -> None:
    """Print what torch.compile costs and gives, taking turns with the plain way."""
    texts = make_instructions(8)
    llm.core.model.language_model.compile(dynamic=True)
    typer.echo("\nunder torch.compile with dynamic shapes, 8 instructions:")
    for seconds in (0.2, 1.0, 2.0):
        clips = make_clips(Workload(seconds, len(texts), count))

        def score(stance: str, waveforms: Sequence[np.ndarray] = clips) -> float:
            with torch.compiler.set_stance(stance):
                return clock(lambda: score_ours(llm, waveforms, texts, batch), llm)

        first = score("default")
        score("force_eager")
        turns = [(score("force_eager"), score("default")) for _ in range(3)]
        plain, compiled = (min(times) for times in zip(*turns, strict=True))
        typer.echo(
            f"  {seconds:g} s: {first:.1f} s the first time, then {compiled:.3f} s against "
            f"{plain:.3f} s: {plain / compiled:.2f} times as fast"
        )


if __name__ == "__main__":
    typer.run(main)
