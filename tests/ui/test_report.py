"""The report in a real browser: both themes, wide, narrow and printed."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.report_inputs import make_report, write_report_inputs

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed"),
]

# Text drawn over other text inside one figure, each as "a / b".
OVERLAPS = """() => [...document.querySelectorAll('figure svg')].flatMap(svg => {
  const texts = [...svg.querySelectorAll('text')].filter(t => t.textContent.trim());
  // Slanted labels have large upright boxes, so only level text is compared.
  const level = texts.filter(t => !/rotate\\((?!-?0\\b)/.test(t.getAttribute('transform') || ''));
  const boxes = level.map(t => [t.textContent.trim(), t.getBoundingClientRect()]);
  return boxes.flatMap(([a, p], i) => boxes.slice(i + 1).filter(([b, q]) =>
    Math.min(p.right, q.right) - Math.max(p.left, q.left) > 2 &&
    Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 4).map(([b]) => `${a} / ${b}`));
})"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    inputs = write_report_inputs(folder / "inputs")
    return (make_report(folder, inputs) / "volatile" / "report.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


def _open(browser: Browser, address: str, *, width: int, scheme: str) -> tuple[Page, list[str]]:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on(
        "request", lambda request: heard.append(request.url) if request.url != address else None
    )
    page.goto(address)
    return page, [text for text in heard if not text.startswith("data:")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_page_fits_and_asks_for_nothing(
    browser: Browser, address: str, width: int, scheme: str
) -> None:
    page, heard = _open(browser, address, width=width, scheme=scheme)
    assert heard == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(OVERLAPS) == []
    for svg in page.query_selector_all("figure svg"):
        box = svg.bounding_box()
        assert box is not None
        assert box["width"] > 300
        assert box["height"] > 80
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_the_page(browser: Browser, address: str, scheme: str) -> None:
    page, _ = _open(browser, address, width=1280, scheme=scheme)
    colors = page.evaluate(
        """() => {
          const numbers = text => text.match(/\\d+/g).slice(0, 3).map(Number);
          const read = (e, name) => numbers(getComputedStyle(e)[name]);
          const page = read(document.body, 'backgroundColor');
          const places = ['body', 'caption', 'a', 'summary', 'figcaption'];
          const found = places.map(p => [p, read(document.querySelector(p), 'color')]);
          const tick = document.querySelector('figure svg text');
          return [page, [...found, ['tick', read(tick, 'fill')]]];
        }"""
    )
    background, texts = colors
    for name, color in texts:
        assert _contrast(color, background) >= 4.5, name
    page.close()


def test_folded_tables_open(browser: Browser, address: str) -> None:
    page, _ = _open(browser, address, width=1280, scheme="light")
    folded = page.locator("details").filter(
        has=page.locator("summary", has_text=re.compile("^Balanced accuracy by condition"))
    )
    cell = folded.get_by_role("rowheader", name="snr_-10dB")
    assert not cell.is_visible()
    folded.locator("summary").click()
    assert cell.is_visible()
    page.close()


def test_print(browser: Browser, address: str) -> None:
    page, _ = _open(browser, address, width=1280, scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
    # 186 mm between the margins of A4: no table or figure runs out of the page.
    page.set_viewport_size({"width": 703, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 703
    page.close()


def _contrast(one: list[int], other: list[int]) -> float:
    """Return the contrast ratio of two sRGB colours as WCAG 2 defines it."""

    def luminance(color: list[int]) -> float:
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in (value / 255 for value in color)
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)
