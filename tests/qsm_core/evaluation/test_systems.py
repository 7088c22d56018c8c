"""Systems and their names: each is read from the other, in the forms that stores hold."""

from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qsm_core.errors import ConfigurationError
from qsm_core.evaluation.systems import System

# By name: the system and its title.
KNOWN = {
    "base": (System(), "Base"),
    "lora": (System(adapter="lora"), "LoRA"),
    "base_opro": (System(instruction="opro"), "Base + OPRO"),
    "lora_opro": (System(adapter="lora", instruction="opro"), "LoRA + OPRO"),
    "lora_seed43": (System(adapter="lora", seed=43), "LoRA, seed 43"),
    "lora_opro_seed43": (
        System(adapter="lora", instruction="opro", seed=43),
        "LoRA + OPRO, seed 43",
    ),
    "lora_ensemble": (System(adapter="lora", ensemble=True), "LoRA, ensemble of seeds"),
    "lora_opro_ensemble@dev": (
        System(adapter="lora", instruction="opro", ensemble=True, calibrated=True),
        "LoRA + OPRO, ensemble of seeds, dev threshold",
    ),
    "lora_cross_entropy_seed43": (
        System(adapter="lora_cross_entropy", seed=43),
        "LoRA with cross-entropy, seed 43",
    ),
    "silero": (System("silero"), "Silero VAD"),
    "webrtc": (System("webrtc"), "WebRTC VAD"),
    "energy": (System("energy"), "Energy threshold"),
    "lora@dev": (System(adapter="lora", calibrated=True), "LoRA, dev threshold"),
    "lora_opro_seed43@dev": (
        System(adapter="lora", instruction="opro", seed=43, calibrated=True),
        "LoRA + OPRO, seed 43, dev threshold",
    ),
    "embedded-seed43.lora_opro": (
        System(adapter="lora", instruction="opro", run="embedded-seed43"),
        "LoRA + OPRO (embedded-seed43)",
    ),
    "v1.2.silero": (System("silero", run="v1.2"), "Silero VAD (v1.2)"),
    "qwen2.5_7b": (System("qwen2.5_7b"), "qwen2.5 7b"),
    "my_vad_opro": (System("my_vad", instruction="opro"), "my vad opro"),
    "my_vad_seed7": (System("my_vad", seed=7), "my vad, seed 7"),
    "lora_seed043": (System("lora_seed043"), "lora seed043"),
    "_opro": (System("_opro"), " opro"),
    "@dev": (System("@dev"), "@dev"),
}

names = st.one_of(
    st.text(min_size=1, max_size=12),
    st.lists(
        st.sampled_from(
            [
                "base",
                "lora",
                "silero",
                "_opro",
                "_seed43",
                "_seed0",
                "_seed01",
                "_ensemble",
                "_cross_entropy",
                "@dev",
                ".",
                "vad",
            ]
        ),
        min_size=1,
        max_size=6,
    ).map("".join),
)


@pytest.mark.parametrize(("name", "known"), KNOWN.items(), ids=KNOWN)
def test_names_and_titles_are_those_that_stores_and_reports_hold(
    name: str, known: tuple[System, str]
) -> None:
    system, title = known
    assert system.name == name
    assert System.read(name) == system
    assert system.title == title


@given(
    model=st.one_of(st.sampled_from(["base", "silero", "energy"]), names),
    adapter=st.sampled_from([None, "lora", "lora_cross_entropy"]),
    instruction=st.sampled_from([None, "opro"]),
    seed=st.one_of(st.none(), st.integers(min_value=0)),
    calibrated=st.booleans(),
    run=st.one_of(st.none(), names),
    ensemble=st.booleans(),
)
def test_a_system_is_read_from_its_name(**fields: object) -> None:
    system = None
    with suppress(ConfigurationError):
        system = System(**fields)
    assume(system is not None)
    assert System.read(system.name) == system


@given(names)
def test_any_name_is_that_of_the_system_read_from_it(name: str) -> None:
    system = System.read(name)
    assert system.name == name
    for other in (system.unprompted, system.prompted, system.at_dev_threshold, system.family):
        assert System.read(other.name) == other
    if not system.uncalibrated.calibrated:  # as that of `x@dev@dev` is
        assert system.uncalibrated.at_dev_threshold.uncalibrated == system.uncalibrated


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "lora"},
        {"model": "vad", "adapter": "lora"},
        {"model": "vad", "run": "one"},
        {"model": "vad_opro"},
        {"adapter": "dora"},
        {"instruction": "best"},
        {"seed": -1},
        {"seed": 3, "ensemble": True},
        {"run": ""},
    ],
)
def test_what_no_name_says_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="is that of another system"):
        System(**fields)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="must not be empty"):
        System.read("")
    with pytest.raises(ConfigurationError, match="must not be empty"):
        System("")


def test_tables_show_the_four_systems_then_their_seeds_then_others() -> None:
    order = ["base", "lora", "base_opro", "lora_opro", "lora_seed43", "lora_opro_seed43"]
    others = ["silero", "my_vad"]  # as they come
    shuffled = [*others, *reversed(order)]
    assert sorted(shuffled, key=lambda name: System.read(name).place) == [*order, *others]


def test_related_systems() -> None:
    system = System.read("one.lora_opro_seed43@dev")
    assert system.unprompted.name == "one.lora_seed43@dev"
    assert system.uncalibrated.name == "one.lora_opro_seed43"
    assert system.uncalibrated.at_dev_threshold == system
    assert system.family.name == "one.lora"
    assert system.family.prompted.name == "one.lora_opro"
    assert system.model_title == "LoRA model, seed 43"
    assert System.read("base").model_title == "Base model"
    assert [System.read(name).is_detector for name in ("silero", "one.energy", "lora", "vad")] == [
        True,
        True,
        False,
        False,
    ]
