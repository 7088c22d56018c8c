"""Figures as bytes: SVG for the page, PNG for papers and for Prefect, equal for equal figures."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image

from qsm_core.reporting.page.style import INK

# Base64 text is four thirds of this size, which keeps an artifact of Prefect below 100 KB.
MAX_PNG_BYTES = 74_000
_PRINT_DPI = 200
_SCREEN_SHARES = (0.6, 0.5, 0.4, 0.3, 0.2)
_PAPER = "#ffffff"
_POINTS_TO_PX = 96 / 72


@dataclass(frozen=True)
class SavedFigure:
    """A figure as text for the page, and as a picture that is small enough for Prefect."""

    svg: str
    png: bytes


def svg_text(figure: Figure, name: str) -> str:
    """Return the figure as SVG; equal figures and names give equal text."""
    _lay_out(figure)
    buffer = io.StringIO()
    # By default, matplotlib names clip paths by a random salt and writes the date.
    with rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        canvas: Any = FigureCanvasSVG(figure)  # its methods have no types
        canvas.print_svg(buffer, metadata={"Date": None})
    return buffer.getvalue()


def png_bytes(figure: Figure, dpi: int = _PRINT_DPI) -> bytes:
    """Return the figure as PNG on white, with a palette of 256 colours."""
    return _as_png(_picture(figure, dpi))


def small_png(picture: Image.Image, max_bytes: int = MAX_PNG_BYTES) -> bytes:
    """Return a picture for the screen, at the finest resolution that fits `max_bytes`."""
    data = b""
    for share in _SCREEN_SHARES:
        size = (round(share * picture.width), round(share * picture.height))
        data = _as_png(picture.resize(size, Image.Resampling.LANCZOS))
        if len(data) <= max_bytes:
            break
    return data


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """Return bytes as a data URI."""
    return f"data:{kind};base64," + base64.b64encode(content).decode("ascii")


def inline_svg(svg: str, *, name: str, alt: str) -> str:
    """Turn a figure's SVG into an element of a page.

    The page's text colour replaces the ink, identifiers get the figure's name in
    front, so that one page can hold several figures, and `alt` says what it shows. The
    page may draw it smaller, never larger.
    """
    body = svg[svg.index("<svg") :]
    body = body.replace(INK, "currentColor")
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    view_box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', body)
    width = float(view_box[1]) * _POINTS_TO_PX if view_box else 0.0
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
    label = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    size = f'style="max-width: {width:.0f}px; min-width: {min(0.72 * width, 620):.0f}px"'
    return body.replace("<svg", f'<svg role="img" aria-label="{label}" {size}', 1)


def save_figure(figure: Figure, folder: Path, name: str) -> SavedFigure:
    """Write `name`.svg and `name`.png into `folder`, and return what page and Prefect show."""
    folder.mkdir(parents=True, exist_ok=True)
    svg = svg_text(figure, name)
    picture = _picture(figure, _PRINT_DPI)
    (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    (folder / f"{name}.png").write_bytes(_as_png(picture))
    return SavedFigure(svg, small_png(picture))


def _lay_out(figure: Figure) -> None:
    """Lay out the figure once for all formats: `savefig` would do it again for each."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def _picture(figure: Figure, dpi: int) -> Image.Image:
    """Draw the figure on white."""
    _lay_out(figure)
    figure.set_facecolor(_PAPER)
    figure.set_dpi(dpi)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    size = canvas.get_width_height(physical=True)
    return Image.frombuffer("RGBA", size, bytes(canvas.buffer_rgba())).convert("RGB")


def _as_png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
        buffer, "PNG"
    )
    return buffer.getvalue()
