from qsm_core.data.config import SyntheticConfig
from qsm_core.stage.workload import PlannedInput
from qsm_core.training.config import LoraTraining
from qsm_core.training.workload import training_work

CONFIG = LoraTraining(
    seed=1,
    instructions=("Is it speech?",),
    conditions=("snr_0dB", "dur_100ms", "clean"),
    renderings_per_clip=8,
    epochs=3,
)


def test_a_training_takes_steps_of_renderings() -> None:
    # 240 clips x min(8, 3) renderings / 16 a step = 45 steps an epoch, 3 epochs.
    corpus = {"train": PlannedInput(None, SyntheticConfig(train_clips=240))}
    assert training_work(CONFIG, corpus).text == "at most 135 training steps"


def test_the_steps_on_clips_of_the_user_that_were_not_read_are_unknown() -> None:
    assert training_work(CONFIG, {"train": PlannedInput(None)}).amount is None
