"""The stage "draw_picture": a kitchen in which several things are about to go wrong.

    python -m qsm_core.perturbation.picture --spec spec.json

For prompts that ask to describe a picture: the test pictures of clinics cannot be given away.
No inputs. Output: kitchen.png.

To be seen, from left to right: a grown-up on the telephone who looks out of the window, behind her
a sink that runs over; a table with a cake, of which a cat eats; a child on a stool that tips over,
reaching for a jar on the highest shelf, and another that holds out its hands.
"""

from __future__ import annotations

from typing import Any

from PIL import Image, ImageDraw

from qsm_core.perturbation.picture_config import PICTURE_FILE, DrawPicture
from qsm_core.stage.context import StageContext, parse_config
from qsm_core.stage.entry import run_entry

_UNIT = 896  # the drawing's own coordinates
_INK, _SKIN, _HAIR = "#222222", "#f0c9a0", "#6b4226"
_WATER, _WOOD, _WALL, _FLOOR = "#5aa7d6", "#b07b45", "#fbf6e6", "#d9cdb8"


def run(context: StageContext) -> dict[str, Any]:
    """Write the picture."""
    config = parse_config(DrawPicture, context.config)
    draw_kitchen(config.side).save(context.out / PICTURE_FILE)
    return {"side": config.side}


def draw_kitchen(side: int) -> Image.Image:
    """Return the picture, `side` pixels wide and high."""
    image = Image.new("RGB", (_UNIT, _UNIT), _WALL)
    canvas = ImageDraw.Draw(image)
    canvas.rectangle((0, 700, _UNIT, _UNIT), fill=_FLOOR)
    _window(canvas)
    _sink(canvas)
    _person(canvas, x=150, top=250, height=440, dress="#b8488a")
    canvas.line((205, 330, 222, 372), fill=_INK, width=12)  # the telephone
    _table(canvas)
    _cat(canvas)
    _shelves(canvas)
    _person(canvas, x=700, top=230, height=270, dress="#4477aa", arm=(790, 158))
    canvas.polygon([(640, 520), (770, 500), (776, 520), (646, 540)], fill=_WOOD, outline=_INK)
    canvas.line((655, 538, 600, 690), fill=_INK, width=10)
    canvas.line((765, 520, 742, 700), fill=_INK, width=10)
    _person(canvas, x=830, top=430, height=280, dress="#228833", arm=(770, 470))
    return image if side == _UNIT else image.resize((side, side), Image.Resampling.LANCZOS)


def _window(canvas: ImageDraw.ImageDraw) -> None:
    canvas.rectangle((30, 70, 330, 300), fill="#cfe8f7", outline=_INK, width=6)
    canvas.rectangle((30, 240, 330, 300), fill="#9ccf7a", outline=_INK)
    canvas.ellipse((240, 90, 300, 150), fill="#f5d04c", outline=_INK)
    canvas.rectangle((82, 190, 96, 250), fill=_WOOD)
    canvas.ellipse((50, 120, 130, 205), fill="#3f8f3f", outline=_INK)
    canvas.line((180, 70, 180, 300), fill=_INK, width=5)
    canvas.line((30, 185, 330, 185), fill=_INK, width=5)


def _sink(canvas: ImageDraw.ImageDraw) -> None:
    canvas.rectangle((20, 480, 120, 700), fill="#c9c4ba", outline=_INK, width=4)
    canvas.rectangle((10, 455, 250, 490), fill="#e8e8e8", outline=_INK, width=4)
    canvas.line((60, 455, 60, 395, 110, 395, 110, 420), fill=_INK, width=9)
    canvas.line((110, 420, 110, 456), fill=_WATER, width=9)
    canvas.polygon([(20, 452), (240, 452), (258, 600), (300, 745), (215, 745)], fill=_WATER)
    canvas.ellipse((60, 720, 400, 800), fill=_WATER)


def _table(canvas: ImageDraw.ImageDraw) -> None:
    canvas.rectangle((350, 560, 590, 585), fill=_WOOD, outline=_INK, width=3)
    for x in (370, 560):
        canvas.rectangle((x, 585, x + 14, 740), fill=_WOOD, outline=_INK)
    canvas.rectangle((375, 505, 465, 560), fill="#f7d9e3", outline=_INK, width=3)
    canvas.rectangle((375, 505, 465, 522), fill="#8a4b2a", outline=_INK)
    canvas.ellipse((412, 482, 428, 505), fill="#cc2222", outline=_INK)


def _cat(canvas: ImageDraw.ImageDraw) -> None:
    canvas.ellipse((490, 500, 580, 560), fill="#e0963c", outline=_INK, width=3)
    canvas.ellipse((455, 480, 510, 532), fill="#e0963c", outline=_INK, width=3)
    canvas.polygon([(462, 490), (468, 462), (482, 484)], fill="#e0963c", outline=_INK)
    canvas.polygon([(486, 484), (502, 462), (504, 490)], fill="#e0963c", outline=_INK)
    canvas.ellipse((468, 500, 475, 507), fill=_INK)
    canvas.arc((560, 440, 620, 540), 60, 300, fill=_INK, width=8)


def _shelves(canvas: ImageDraw.ImageDraw) -> None:
    for top in (180, 340):
        canvas.rectangle((560, top, 880, top + 14), fill=_WOOD, outline=_INK, width=3)
    canvas.rectangle((785, 110, 845, 180), fill="#cc4444", outline=_INK, width=3)
    canvas.rectangle((790, 98, 840, 112), fill="#dddddd", outline=_INK, width=3)
    for x, color in ((585, "#7fb6e6"), (640, "#e6d27f")):
        canvas.ellipse((x, 130, x + 40, 180), fill=color, outline=_INK, width=3)
    for x in (590, 640, 840):
        canvas.rectangle((x, 300, x + 26, 340), fill="#f4f4f4", outline=_INK, width=3)


def _person(
    canvas: ImageDraw.ImageDraw,
    *,
    x: int,
    top: int,
    height: int,
    dress: str,
    arm: tuple[int, int] | None = None,
) -> None:
    """Draw somebody; `arm` is what a hand reaches for, else it is at the ear."""
    head = height // 5
    shoulder, hip, foot = top + head + 4, top + int(0.65 * height), top + height
    half = height // 7
    for side in (-half // 2, half // 2):
        canvas.line((x + side, hip, x + side, foot), fill=_INK, width=max(6, height // 34))
    canvas.polygon(
        [(x - half // 2, shoulder), (x + half // 2, shoulder), (x + half, hip), (x - half, hip)],
        fill=dress,
        outline=_INK,
    )
    hand = (x + head // 2 + 12, top + head // 2) if arm is None else arm
    elbow = (x + half, shoulder + half) if arm is None else arm
    for end in ((x - half, hip - half // 2),) if arm is None else ((hand[0] - 14, hand[1] + 22),):
        canvas.line((x - half // 2, shoulder + 6, *end), fill=_SKIN, width=max(8, height // 26))
    canvas.line(
        (x + half // 2, shoulder + 6, *elbow, *hand), fill=_SKIN, width=max(8, height // 26)
    )
    canvas.ellipse((x - head // 2, top, x + head // 2, top + head), fill=_SKIN, outline=_INK)
    canvas.pieslice((x - head // 2, top, x + head // 2, top + head), 180, 360, fill=_HAIR)


if __name__ == "__main__":
    run_entry(run)
