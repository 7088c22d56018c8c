"""The systems that are evaluated, and the only place where their names are written and parsed.

    lora_opro_seed43             adapter, optimized instruction, seed of the adapter's training
    lora_ensemble                the mean over the models of all training seeds
    lora_cross_entropy           the adapter trained with that loss, where `lora` has another one
    silero                       a plain detector
    base@dev                     the same answers with a threshold chosen on dev
    embedded-seed42.lora_opro    of the run `embedded-seed42`, where several runs are compared

Any other text names a foreign system; its name too may say `_opro`, `_seed43`, `_ensemble` or
`@dev`.
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass
from typing import Any

from qsm_core.errors import ConfigurationError
from qsm_core.models.baselines.names import DETECTORS

BASE, LORA, OPRO = "base", "lora", "opro"
CROSS_ENTROPY = "lora_cross_entropy"
# The end of the title of a system with a threshold from dev.
CALIBRATED_TITLE = ", dev threshold"

_FORM = re.compile(
    r"(?P<start>.+?)(?P<instruction>_opro)?(_seed(?P<seed>0|[1-9][0-9]*)|(?P<ensemble>_ensemble))?"
    r"(?P<calibrated>@dev)?",
    re.DOTALL,
)
_TITLES = {
    BASE: "Base",
    LORA: "LoRA",
    CROSS_ENTROPY: "LoRA with cross-entropy",
    "silero": "Silero VAD",
    "webrtc": "WebRTC VAD",
    "energy": "Energy threshold",
}
_MODEL_TITLES = {
    BASE: "Base model",
    LORA: "LoRA model",
    CROSS_ENTROPY: "LoRA model with cross-entropy",
}
_ADAPTERS = (LORA, CROSS_ENTROPY)
_OWN = frozenset({BASE, *_ADAPTERS, *DETECTORS})
# Adapter and instruction, in the order of tables.
_KINDS = (
    (None, None),
    (LORA, None),
    (CROSS_ENTROPY, None),
    (None, OPRO),
    (LORA, OPRO),
    (CROSS_ENTROPY, OPRO),
)


@dataclass(frozen=True)
class System:
    """A system that is evaluated on clips.

    Args:
        model: "base", the name of a plain detector, or that of a foreign system.
        adapter: "lora"; "lora_cross_entropy", its twin with that loss; or None.
        instruction: "opro" for the best instruction that was found or given, None for the first.
        seed: Seed of the adapter's training; None for the first seed.
        calibrated: The same answers with a threshold chosen on dev.
        run: Name of the run that it comes from, if several are compared.
        ensemble: The mean over the models of all training seeds.

    Raises:
        ConfigurationError: The name of the system would be read as another one.
    """

    model: str = BASE
    adapter: str | None = None
    instruction: str | None = None
    seed: int | None = None
    calibrated: bool = False
    run: str | None = None
    ensemble: bool = False

    def __post_init__(self) -> None:
        if _read(self.name) != astuple(self):
            problem = f"{self}: its name, {self.name!r}, is that of another system"
            raise ConfigurationError("there is no such system", [problem])

    @classmethod
    def read(cls, name: str) -> System:
        """Return the system that a name stands for.

        Raises:
            ConfigurationError: The name is empty.
        """
        return cls(*_read(name))

    @property
    def name(self) -> str:
        """Name in tables, files and flags."""
        return _name(**vars(self))

    @property
    def title(self) -> str:
        """Title for people: `LoRA + OPRO, seed 43`."""
        known = _TITLES.get(self._start)
        if self.instruction is None:
            title = known or _in_words(self._start)
        else:
            title = f"{known} + OPRO" if known else _in_words(f"{self._start}_{self.instruction}")
        run = "" if self.run is None else f" ({self.run})"
        return f"{self._with_seed(title)}{run}{CALIBRATED_TITLE if self.calibrated else ''}"

    @property
    def model_title(self) -> str:
        """Title of the model, whatever its instruction: `LoRA model, seed 43`."""
        return self._with_seed(_MODEL_TITLES.get(self._start) or _in_words(self._start))

    @property
    def is_detector(self) -> bool:
        """Whether it is a plain detector."""
        return self.model in DETECTORS

    @property
    def unprompted(self) -> System:
        """The same system with its first instruction."""
        return self._other(instruction=None)

    @property
    def prompted(self) -> System:
        """The same system with the best instruction that was found or given for it."""
        return self._other(instruction=OPRO)

    @property
    def uncalibrated(self) -> System:
        """The same system with its own threshold."""
        return self._other(calibrated=False)

    @property
    def at_dev_threshold(self) -> System:
        """The same system with a threshold chosen on dev."""
        return self._other(calibrated=True)

    @property
    def family(self) -> System:
        """The system without seed, instruction and threshold: what its variants have in common."""
        return self._other(instruction=None, seed=None, calibrated=False, ensemble=False)

    @property
    def of_all_seeds(self) -> System:
        """The mean over the models of all training seeds, with the same instruction."""
        return self._other(seed=None, ensemble=True)

    @property
    def with_cross_entropy(self) -> System:
        """The same system trained with cross-entropy."""
        return self._other(adapter=CROSS_ENTROPY)

    @property
    def place(self) -> tuple[bool, bool, bool, int]:
        """Its sort key: systems of a run, other seeds, ensembles, detectors and foreign ones."""
        kind = (self.adapter, self.instruction)
        ours = self.model == BASE
        order = _KINDS.index(kind) if ours else 0
        return not ours, self.ensemble, self.seed is not None, order

    @property
    def _start(self) -> str:
        return self.model if self.adapter is None else self.adapter

    def _with_seed(self, title: str) -> str:
        if self.ensemble:
            return f"{title}, ensemble of seeds"
        return title if self.seed is None else f"{title}, seed {self.seed}"

    def _other(self, **changes: Any) -> System:
        """Return the system that the name says after these changes.

        It is read from its name: what is left of a foreign name such as `vad_opro_opro` may say
        something itself.
        """
        return System.read(_name(**vars(self) | changes))


def _in_words(name: str) -> str:
    return name.replace("_", " ")


def _name(
    *,
    model: str,
    adapter: str | None,
    instruction: str | None,
    seed: int | None,
    calibrated: bool,
    run: str | None,
    ensemble: bool,
) -> str:
    start = model if adapter is None else adapter
    before = "" if run is None else f"{run}."
    words = "" if instruction is None else f"_{instruction}"
    trained = "_ensemble" if ensemble else "" if seed is None else f"_seed{seed}"
    return f"{before}{start}{words}{trained}{'@dev' if calibrated else ''}"


def _read(name: str) -> tuple[str, str | None, str | None, int | None, bool, str | None, bool]:
    """Return the fields of the system that a name stands for, in their order."""
    found = _FORM.fullmatch(name)
    if found is None:
        raise ConfigurationError("there is no such system", ["name = '': must not be empty"])
    run, _, own = found["start"].rpartition(".")
    # A dot in the name of a foreign system has no meaning.
    start = own if run and own in _OWN else found["start"]
    return (
        BASE if start in _ADAPTERS else start,
        start if start in _ADAPTERS else None,
        None if found["instruction"] is None else OPRO,
        None if found["seed"] is None else int(found["seed"]),
        found["calibrated"] is not None,
        run if run and own in _OWN else None,
        found["ensemble"] is not None,
    )
