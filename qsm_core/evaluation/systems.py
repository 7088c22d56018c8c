"""The systems that are evaluated, and the only place where their names are written and parsed.

    lora_opro_seed43             adapter, optimized instruction, seed of the adapter's training
    silero                       a plain detector
    base@dev                     the same answers with a threshold chosen on dev
    embedded-seed42.lora_opro    of the run `embedded-seed42`, where several runs are compared

Any other text names a foreign system; its name too may say `_opro`, `_seed43` or `@dev`.
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass
from typing import Any

from qsm_core.errors import ConfigurationError
from qsm_core.models.baselines.names import DETECTORS

BASE, LORA, OPRO = "base", "lora", "opro"
# The end of the title of a system with a threshold from dev.
CALIBRATED_TITLE = ", dev threshold"

_FORM = re.compile(
    r"(?P<start>.+?)(?P<instruction>_opro)?(_seed(?P<seed>0|[1-9][0-9]*))?(?P<calibrated>@dev)?",
    re.DOTALL,
)
_TITLES = {
    BASE: "Base",
    LORA: "LoRA",
    "silero": "Silero VAD",
    "webrtc": "WebRTC VAD",
    "energy": "Energy threshold",
}
_MODEL_TITLES = {BASE: "Base model", LORA: "LoRA model"}
_OWN = frozenset({BASE, LORA, *DETECTORS})
_FOUR = ((None, None), (LORA, None), (None, OPRO), (LORA, OPRO))  # adapter, instruction


@dataclass(frozen=True)
class System:
    """A system that is evaluated on clips.

    Args:
        model: "base", the name of a plain detector, or that of a foreign system.
        adapter: "lora", or None.
        instruction: "opro" for the best instruction that was found or given, None for the first.
        seed: Seed of the adapter's training; None for the first seed.
        calibrated: The same answers with a threshold chosen on dev.
        run: Name of the run that it comes from, if several are compared.

    Raises:
        ConfigurationError: The name of the system would be read as another one.
    """

    model: str = BASE
    adapter: str | None = None
    instruction: str | None = None
    seed: int | None = None
    calibrated: bool = False
    run: str | None = None

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
        return self._other(instruction=None, seed=None, calibrated=False)

    @property
    def place(self) -> tuple[bool, bool, int]:
        """Its sort key in tables: the four systems, other seeds, detectors and foreign systems."""
        kind = (self.adapter, self.instruction)
        ours = self.model == BASE
        return not ours, self.seed is not None, _FOUR.index(kind) if ours else 0

    @property
    def _start(self) -> str:
        return self.model if self.adapter is None else self.adapter

    def _with_seed(self, title: str) -> str:
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
) -> str:
    start = model if adapter is None else adapter
    before = "" if run is None else f"{run}."
    words = "" if instruction is None else f"_{instruction}"
    trained = "" if seed is None else f"_seed{seed}"
    return f"{before}{start}{words}{trained}{'@dev' if calibrated else ''}"


def _read(name: str) -> tuple[str, str | None, str | None, int | None, bool, str | None]:
    """Return the fields of the system that a name stands for, in their order."""
    found = _FORM.fullmatch(name)
    if found is None:
        raise ConfigurationError("there is no such system", ["name = '': must not be empty"])
    run, _, own = found["start"].rpartition(".")
    # A dot in the name of a foreign system has no meaning.
    start = own if run and own in _OWN else found["start"]
    return (
        BASE if start == LORA else start,
        LORA if start == LORA else None,
        None if found["instruction"] is None else OPRO,
        None if found["seed"] is None else int(found["seed"]),
        found["calibrated"] is not None,
        run if run and own in _OWN else None,
    )
