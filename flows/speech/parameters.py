"""Parameters of the main job: one flat pydantic model.

A field that is left empty (`None`) takes its value from the preset; a value that is given
always wins, whether it comes from the UI form, a flag or `prefect deployment run --param`.
Nothing here imports torch or Prefect, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from flows.run.settings import RunSettings
from flows.speech.presets import PresetName
from qsm_core.conditions.config import STANDARD, SnrReference
from qsm_core.data.config import DataKind, PrepareConfig, SelectionConfig
from qsm_core.evaluation.systems import CROSS_ENTROPY, System
from qsm_core.inference.config import Quantization
from qsm_core.models.attention_names import AttentionName
from qsm_core.models.lora_projections import Targets
from qsm_core.prompting.config import Objective, OptimizePrompt, OptimizerSettings
from qsm_core.training.config import LoraTraining, Loss

BASELINE_INSTRUCTION = "Does this audio contain human speech? Answer SPEECH or NONSPEECH."


class PipelineParameters(RunSettings):
    """Parameters of `complete_pipeline`. An empty field takes the value of the preset."""

    preset: PresetName = Field(
        "embedded",
        description="embedded: small model and synthetic speech, minutes on a CPU. "
        "qwen2-audio-7b: Qwen2-Audio-7B-Instruct in 4 bits on a GPU. qwen2-audio-7b-v1: the same "
        "with the LoRA of the first system's version 1.",
    )
    data: str | None = Field(
        None,
        description="Your labelled clips: a folder with speech/ and nonspeech/, a metadata.csv, or "
        "a manifest. Empty: the synthetic corpus (preset embedded only).",
    )
    data_kind: DataKind = Field("auto", description="Form of `data`. auto: found out by looking.")
    test_data: str | None = Field(
        None,
        description="Clips for the final evaluations only. They reach neither training nor the "
        "prompt search.",
    )
    audio_root: str | None = Field(
        None,
        description="Folder that the paths of a manifest `data` are relative to. Empty: the "
        "manifest's own folder.",
    )
    group_pattern: str | None = Field(
        None,
        description="Regular expression with one group that finds the speaker or recording in a "
        "file name, where no metadata says it.",
    )
    own_splits: Literal["keep", "ignore"] = Field(
        PrepareConfig.own_splits,
        description="Whether the splits that a manifest itself has are kept.",
    )
    dev_fraction: float = Field(
        PrepareConfig.dev_fraction, gt=0, lt=1, description="Share of clips for development."
    )
    test_fraction: float = Field(
        PrepareConfig.test_fraction, gt=0, lt=1, description="Share of clips for the test."
    )
    clip_ms: int = Field(
        PrepareConfig.clip_ms, ge=40, le=30_000, description="Length of a clip, cut at its centre."
    )
    short_clips: Literal["refuse", "keep"] = Field(
        PrepareConfig.short_clips,
        description="What to do with clips that are shorter than clip_ms.",
    )
    limit: int | None = Field(
        None,
        ge=2,
        le=10_000_000,
        description="Clips of `data` at most, for a quick look; spread over splits, classes and "
        "groups.",
    )
    min_snr_db: float | None = Field(
        None,
        ge=-100,
        le=100,
        description="Leave out clips of `data` whose table gives a lower SNR.",
    )
    min_duration_ms: float | None = Field(
        None, gt=0, le=3_600_000, description="Leave out clips of `data` that are shorter."
    )
    min_active_share: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Leave out clips of `data` with less sound: the share of frames within 40 dB "
        "of the loudest.",
    )
    balance_classes: bool = Field(
        SelectionConfig.balance_classes,
        description="Use as many clips of one class as of the other.",
    )
    headroom_db: float = Field(
        PrepareConfig.headroom_db,
        ge=0,
        le=40,
        description="How far below 0.9 of full scale the peak of each clip is set; the first "
        "system's older sets have 3.",
    )
    train_clips: int | None = Field(
        None, ge=4, le=100_000, description="Clips of the synthetic corpus for training."
    )
    dev_clips: int | None = Field(
        None, ge=4, le=100_000, description="Clips of the synthetic corpus for development."
    )
    test_clips: int | None = Field(
        None, ge=4, le=100_000, description="Clips of the synthetic corpus for the test."
    )

    conditions: str = Field(
        STANDARD,
        description="standard: all 22 conditions. as_recorded: the clips as they are. Or keys "
        "with commas between, such as dur_100ms,snr_0dB.",
    )
    snr_reference: SnrReference = Field(
        LoraTraining.snr_reference,
        description="Where SNR is measured. container: the way of the first system, 3 dB easier.",
    )
    recorded_rirs: str | None = Field(
        None, description="Folder of recorded room impulse responses. Empty: simulated rooms."
    )

    baselines: str = Field(
        "silero,webrtc,energy",
        description="Plain speech detectors to compare with, with commas between: silero, webrtc, "
        "energy; or none. Their thresholds are fitted on dev.",
    )

    model: str | None = Field(
        None, description="Model folder, or hub id with `model_revision`. Empty: the preset's."
    )
    model_revision: str | None = Field(
        None, pattern=r"^[0-9a-f]{40}$", description="Commit of the hub model, 40 hex digits."
    )
    quantization: Quantization | None = Field(
        None, description="nf4: 4 bits with double quantisation (QLoRA)."
    )
    instruction: str = Field(
        BASELINE_INSTRUCTION,
        min_length=10,
        max_length=300,
        description="Instruction of stages 1, 2 and 3, and the start of the prompt search.",
    )

    adapter: str | None = Field(
        None, description="Folder of an existing adapter, used instead of stage 2."
    )
    lora_targets: Targets | None = Field(
        None,
        description="Which projections of the language model get LoRA. everything: q, k, v of the "
        "audio encoder as well, as the first system had it.",
    )
    tune_encoder: bool = Field(
        LoraTraining.tune_encoder, description="Give the audio encoder LoRA as well."
    )
    lora_rank: int | None = Field(None, ge=1, le=512, description="LoRA rank.")
    lora_alpha: int | None = Field(None, ge=1, le=2048, description="LoRA alpha.")
    lora_dropout: float = Field(LoraTraining.dropout, ge=0, lt=1, description="LoRA dropout.")
    learning_rate: float | None = Field(None, gt=0, lt=1, description="Peak learning rate.")
    epochs: int | None = Field(None, ge=1, le=1000, description="Passes over the training clips.")
    renderings_per_clip: int | None = Field(
        None, ge=1, le=100, description="Conditions in which each training clip is heard."
    )
    warmup_fraction: float = Field(
        LoraTraining.warmup_fraction,
        ge=0,
        lt=1,
        description="Share of the updates in which the learning rate rises.",
    )
    patience: int = Field(
        LoraTraining.patience,
        ge=0,
        le=1000,
        description="End after so many dev losses without a new best; 0: never.",
    )
    gradient_checkpointing: bool = Field(
        LoraTraining.gradient_checkpointing, description="Train with less memory, and slower."
    )
    effective_batch_size: int = Field(
        LoraTraining.effective_batch_size, ge=1, le=4096, description="Clips of one update."
    )
    micro_batch_size: int | None = Field(
        None,
        ge=1,
        le=4096,
        description="Clips of one forward pass in training; divides effective_batch_size. Empty: "
        "as many as fit, up to 8.",
    )
    loss: Loss = Field(
        LoraTraining.loss,
        description="Training loss. focal: what is answered right already weighs less; the same "
        "LoRA is trained with cross-entropy as well, to compare at equal budget.",
    )
    focal_gamma: float = Field(
        LoraTraining.focal_gamma, ge=0, le=10, description="How much less, for loss focal."
    )
    class_weights: str = Field(
        str(LoraTraining.class_weights),
        description="Weights of the classes in the training loss: equal, balanced, or those of "
        "SPEECH and NONSPEECH, such as 2,1.",
    )
    num_seeds: int = Field(
        1, ge=1, le=20, description="How many LoRA models to train: seed, seed + 1, ..."
    )
    lora_seeds: str | None = Field(
        None,
        description="Seeds of the LoRA models instead, with commas between, such as "
        "42,123,456,789,2024. Data and noise stay those of `seed`.",
    )

    instruction_base: str | None = Field(
        None, description="File with an instruction for the base model, instead of stage 4."
    )
    instruction_lora: str | None = Field(
        None, description="File with an instruction for the LoRA model, instead of stage 5."
    )
    opro_iterations: int | None = Field(None, ge=1, le=1000, description="Steps of the search.")
    opro_candidates: int = Field(
        OptimizePrompt.candidates, ge=1, le=64, description="New instructions in one step."
    )
    opro_clips: int | None = Field(
        None,
        ge=4,
        description="Pairs of a dev clip and a condition that a race of candidates goes on for at "
        "most; the finalists are scored on all of dev.",
    )
    opro_budget: int | None = Field(
        None,
        ge=1,
        description="Clip-prompts that a search may score, finals included. Empty: as many as its "
        "steps need.",
    )
    opro_patience: int = Field(
        OptimizePrompt.patience,
        ge=0,
        le=1000,
        description="End after so many steps without a better one; 0: never.",
    )
    opro_objective: Objective = Field(
        OptimizePrompt.objective,
        description="What the search makes best. reward: balanced accuracy over clips plus a "
        "quarter of that over conditions.",
    )
    opro_length_penalty: float = Field(
        OptimizePrompt.length_penalty,
        ge=0,
        le=1,
        description="What 100 characters of an instruction take off its score.",
    )
    opro_tolerance: float = Field(
        OptimizePrompt.tolerance,
        gt=0,
        lt=1,
        description="A race drops a candidate when what it would gain over the leader on average "
        "is at most this, in units of the objective: 0.0015 is 0.15 points of balanced accuracy.",
    )
    opro_block_clips: int = Field(
        OptimizePrompt.block_clips,
        ge=2,
        le=10_000,
        description="About how many pairs of a dev clip and a condition a block of a race has.",
    )
    opro_finalists: int = Field(
        OptimizePrompt.finalists,
        ge=1,
        le=50,
        description="The most candidates that are scored on all of dev, beside the first "
        "instruction, if a race ends undecided.",
    )
    opro_controls: str = Field(
        ",".join(OptimizePrompt.controls),
        description="What is raced beside the search at the same price, with commas between: "
        "templates, paraphrases; or none.",
    )
    opro_proposers: str | None = Field(
        None,
        description="Who proposes instructions, in turn, with commas between: templates, "
        "recombination, paraphrase, pool, llm.",
    )
    opro_pool: str | None = Field(
        None, description="File with your own instructions for proposer pool: .txt, .csv or .json."
    )
    optimizer_model: str | None = Field(
        None,
        description="LLM of proposer llm: a folder, a hub id with `optimizer_revision`, or with "
        "`optimizer_url` its name there.",
    )
    optimizer_revision: str | None = Field(
        None, pattern=r"^[0-9a-f]{40}$", description="Commit of the hub model, 40 hex digits."
    )
    optimizer_quantization: Quantization | None = Field(
        None, description="nf4: 4 bits. For an LLM that runs here."
    )
    optimizer_url: str | None = Field(
        None,
        description="Server with the OpenAI API that runs the LLM, such as "
        "http://127.0.0.1:8000/v1. Empty: it runs where the model does.",
    )
    optimizer_secret: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9-]*$",
        description="Name of the Prefect Secret block with the server's key, never the key. "
        "Empty: the variable QSM_OPTIMIZER_API_KEY, if set.",
    )
    optimizer_temperature: float = Field(
        OptimizerSettings.temperature,
        ge=0,
        le=2,
        description="Of the sampling of the optimizer LLM.",
    )

    eval_shards: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Workers that one evaluation is spread over; changes no result. Empty: 1 on "
        "this machine, 4 on a cluster.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where models run.")
    attention: AttentionName = Field(
        "auto",
        description="How attention is computed. auto: SDPA. flash_attention_2 needs a GPU, half "
        "precision and the package flash-attn.",
    )
    batch_size: int | None = Field(
        None, ge=1, le=4096, description="Clips scored at once. Empty: found automatically."
    )

    @property
    def searches(self) -> bool:
        """Whether an instruction is searched for any model."""
        return self.instruction_base is None or self.instruction_lora is None

    def is_searched(self, system: System) -> bool:
        """Say whether an instruction is searched for the model of a system, with its dev clips."""
        if system.adapter == CROSS_ENTROPY:
            return False
        given = self.instruction_base if system.adapter is None else self.instruction_lora
        return given is None


# Panels of --help and groups of the form: the first field of each, and its title. A panel ends
# where the next begins.
PANELS = {
    "preset": "Preset",
    "data": "Data",
    "conditions": "Conditions",
    "baselines": "Baselines",
    "model": "Model",
    "adapter": "LoRA",
    "instruction_base": "Prompt search",
    "optimizer_model": "Optimizer",
    "eval_shards": "Run",
}
