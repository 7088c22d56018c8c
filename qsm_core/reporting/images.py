"""Figures as bytes: SVG for the page, PNG for Prefect, equal for equal figures."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from qsm_core.reporting.style import INK

# As base64 text four thirds of it: an artifact of Prefect stays below 100 KB.
MAX_PNG_BYTES = 74_000
_RESOLUTIONS_DPI = (120, 100, 80, 60)
_PAPER = "#ffffff"


def svg_text(figure: Figure, name: str) -> str:
    """Return the figure as SVG; equal figures and names give equal text."""
    buffer = io.StringIO()
    # Matplotlib names clip paths by a random salt and writes the date, if not told otherwise.
    with rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def png_bytes(figure: Figure, max_bytes: int = MAX_PNG_BYTES) -> bytes:
    """Return the figure as PNG on white, at the finest resolution that fits `max_bytes`."""
    data = b""
    for dpi in _RESOLUTIONS_DPI:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, facecolor=_PAPER)
        data = buffer.getvalue()
        if len(data) <= max_bytes:
            break
    return data


def data_uri(png: bytes) -> str:
    """Return a PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def inline_svg(svg: str, *, name: str, alt: str) -> str:
    """Turn a figure's SVG into an element of a page.

    The page's text colour takes the place of the ink, identifiers get the figure's name in
    front, so that several figures can stand in one page, and `alt` says what is to be seen.
    """
    body = svg[svg.index("<svg") :]
    body = body.replace(INK, "currentColor")
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    # The size comes from the page; the view box keeps the proportions.
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
    label = alt.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return body.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def save_figure(figure: Figure, folder: Path, name: str) -> tuple[str, bytes]:
    """Write `name`.svg and `name`.png into `folder` and return both."""
    folder.mkdir(parents=True, exist_ok=True)
    svg, png = svg_text(figure, name), png_bytes(figure)
    (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    (folder / f"{name}.png").write_bytes(png)
    return svg, png
