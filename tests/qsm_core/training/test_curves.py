from qsm_core.stage.context import LIVE_FILE
from qsm_core.training.curves import LiveCurves, draw_curves, live_page

HISTORY = [
    {"step": 0, "eval_loss": 2.0},
    {"step": 1, "loss": 1.9, "learning_rate": 1e-3},
    {"step": 2, "loss": 1.2, "learning_rate": 5e-4},
    {"step": 2, "eval_loss": 1.0},
]


def test_the_page_shows_both_losses_and_the_learning_rate():
    losses, rates = draw_curves(HISTORY).axes
    train, dev = losses.get_lines()
    assert list(train.get_ydata()) == [1.9, 1.2]
    assert list(dev.get_ydata()) == [2.0, 1.0]
    assert list(rates.get_lines()[0].get_ydata()) == [1e-3, 5e-4]
    page = live_page(HISTORY, 2, 10)
    assert "step 2 of 10" in page
    assert "| 2 | **1.0000** |" in page
    assert len(page) < 100_000


def test_the_file_is_written_now_and_then(tmp_path):
    curves = LiveCurves(tmp_path, every_s=1000.0)
    curves.update(HISTORY, 2, 10)
    assert not (tmp_path / LIVE_FILE).exists()
    LiveCurves(tmp_path, every_s=0.0).update(HISTORY[:2], 1, 10)
    assert "step 1 of 10" in (tmp_path / LIVE_FILE).read_text()
    assert [path.name for path in tmp_path.iterdir()] == [LIVE_FILE]
