import math

from qsm_core.reporting.speech.detectors import detector_sentence

TITLES = {"base": "Base", "lora": "LoRA", "silero": "Silero VAD", "energy": "Energy"}


def test_a_detector_that_wins_is_named_as_the_winner():
    text = detector_sentence({"base": 0.7, "lora": 0.85, "silero": 0.9, "energy": 0.6}, TITLES)
    assert text.startswith("Silero VAD, a network of 2 MB, reaches 90.0 %")
    assert text.endswith("LoRA 85.0 %: a plain detector wins on these clips.")


def test_a_detector_that_loses_is_reported_too():
    text = detector_sentence({"base": 0.7, "energy": 0.6}, TITLES)
    assert text == (
        "The best plain detector: Energy, a level meter, reaches 60.0 %, below the audio model's "
        "best, Base 70.0 %."
    )


def test_detectors_of_several_runs_are_known():
    titles = {"one.base": "Base (one)", "one.silero": "Silero VAD (one)"}
    text = detector_sentence({"one.base": 0.7, "one.silero": 0.6}, titles)
    assert text.startswith("The best plain detector: Silero VAD (one), a network of 2 MB, reaches")


def test_without_both_there_is_nothing_to_say():
    assert detector_sentence({"base": 0.7}, TITLES) is None
    assert detector_sentence({"silero": 0.7, "base": math.nan}, TITLES) is None
