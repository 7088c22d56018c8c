"""Figures as bytes: in a page beside others, small enough for Prefect."""

import re

import numpy as np
from PIL import Image

from qsm_core.reporting.page.images import MAX_PNG_BYTES, data_uri, inline_svg, small_png


def test_inline_svg_stands_beside_others() -> None:
    svg = (
        '<?xml version="1.0"?>\n<svg width="10pt" height="5pt" viewBox="0 0 72 5">'
        '<metadata>when</metadata><defs><path id="m1"/></defs><use xlink:href="#m1"/>'
        '<g clip-path="url(#p2)" style="stroke: #33363d"/><clipPath id="p2"/></svg>'
    )
    element = inline_svg(svg, name="fig", alt='A "b" <c> & d')
    assert element.startswith('<svg role="img" aria-label="A &quot;b&quot; &lt;c> &amp; d" style="')
    assert "max-width: 96px" in element
    assert set(re.findall(r'id="([^"]+)"', element)) == {"fig-m1", "fig-p2"}
    assert '"#fig-m1"' in element
    assert "url(#fig-p2)" in element
    assert "currentColor" in element
    assert "metadata" not in element


def test_picture_for_prefect_is_small() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (900, 1200, 3), dtype=np.uint8)
    assert len(small_png(Image.fromarray(noise))) <= MAX_PNG_BYTES


def test_data_uri() -> None:
    assert data_uri(b"\x89PNG") == "data:image/png;base64,iVBORw=="
