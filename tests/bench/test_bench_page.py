"""The benchmark's page in a real browser: it is whole without a network, and the slider uncovers
what it should."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vqcodec.bench.bd_rate import BdRate
from vqcodec.bench.records import (
    ClipResult,
    MeanBdRate,
    MeanSpeed,
    Point,
    Results,
    Speed,
    Summary,
)
from vqcodec.bench.store import Store
from vqcodec.psnr import Psnr

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
SIZE = (320, 200)
# a colour for each picture, and where its middle lies
COLOURS = {
    "original": (40, 160, 60),
    "ours": (200, 60, 40),
    "ours-small": (150, 90, 20),
    "theirs": (50, 70, 210),
}

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed (Debian: apt-get install chromium)"
)


def point(codec: str, key: str, crf: int, bpp: float, psnr: float) -> Point:
    planes = Psnr(psnr, psnr - 1, psnr + 2, psnr + 3)
    size = round(bpp * 8000)
    return Point(
        key=key, codec=codec, crf=crf, bytes=size, file_bytes=size, bpp=bpp, kbps=1000 * bpp,
        psnr_mean_of_frames=planes, psnr_of_mean_error=planes, ms_ssim_db=12.0, vmaf=90.0,
        blocking=1.031, flicker=-0.25,
        encode=Speed(12.5, 3.0, 1.0, 100 << 20), decode=Speed(None, 3.0, 1.0, 100 << 20),
        settings={}, made_by={}, clip="", frames=9, machine="", measured="",
    )  # fmt: skip


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page about two clips, whose pictures are of one colour each."""
    store = Store(tmp_path_factory.mktemp("cache"))
    for name, rgb in COLOURS.items():
        store.put_picture(name, np.full((SIZE[1], SIZE[0], 3), rgb[::-1], np.uint8))
    ours = [point("vqcodec", "ours", 14, 0.3, 38.0), point("vqcodec", "ours-small", 44, 0.05, 31.0)]
    theirs = [
        point("x264-medium", "theirs", 20, 0.4, 38.5),
        point("x264-medium", "theirs", 40, 0.06, 31.2),
    ]
    undefined = BdRate(None, "the curves have too little quality in common")
    clip = ClipResult(
        name="first",
        width=SIZE[0],
        height=SIZE[1],
        frames=9,
        rate="25",
        bit_depth=8,
        digest="a" * 64,
        notes=["only 9 frames"],
        shown_frame=4,
        original="original",
        points={"x264-medium": theirs, "vqcodec": ours},
        bd_rate={
            "x264-medium": {
                "psnr": BdRate(-12.3),
                "psnr_of_mean_error": BdRate(-11.9),
                "ms_ssim": undefined,
                "vmaf": BdRate(4.0),
            }
        },
        matched=[{"x264-medium": side} for side in theirs],
    )
    means = {
        "psnr": MeanBdRate(-12.3, -12.3, -12.3, 2, 0),
        "psnr_of_mean_error": MeanBdRate(-11.9, -11.9, -11.9, 2, 0),
        "ms_ssim": MeanBdRate(None, None, None, 0, 2),
        "vmaf": MeanBdRate(4.0, 4.0, 4.0, 1, 1),
    }
    anchor = {
        "name": "x264-medium",
        "codec": "libx264",
        "options": {"tune": "psnr"},
        "crfs": [20, 40],
    }
    speed = MeanSpeed(9.0, 1.0, 1 << 27)
    speeds = {name: {"encode": speed, "decode": speed} for name in ("vqcodec", "x264-medium")}
    results = Results(
        made="2026-01-01T00:00:00Z",
        seconds=1.0,
        machine="a processor, 2 cores",
        versions={"vqcodec": "0", "av": "1", "model": "0123"},
        settings={
            "crf": [14, 44],
            "preset": "medium",
            "threads": 0,
            "device": "cpu",
            "anchors": [anchor],
        },
        clips=[clip, replace(clip, name="second", digest="b" * 64)],
        summary=Summary({"x264-medium": means}, speeds),
    )
    from vqcodec.bench.report import page  # and matplotlib, which others do without

    return page(results, store)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        running = p.chromium.launch(executable_path=CHROMIUM)
        yield running
        running.close()


@pytest.fixture
def opened(html: str, browser: Any, tmp_path: Path) -> Iterator[tuple[Any, list[str], list[str]]]:
    """The page from its file, with the addresses it asked for and what it complained of."""
    path = tmp_path / "report.html"
    path.write_text(html)
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if not r.url.startswith("data:") else None)
    page.on("console", lambda m: complaints.append(m.text))
    page.on("pageerror", lambda e: complaints.append(str(e)))
    page.goto(path.as_uri())
    page.wait_for_function(
        "document.getElementById('right').naturalWidth > 0 && "
        "document.getElementById('left').complete"
    )
    page.select_option("#quality", index=[0])  # older versions of playwright take 0 for none
    yield page, asked, complaints
    page.close()


def shot(page: Any) -> np.ndarray:
    return np.asarray(
        Image.open(io.BytesIO(page.locator("#stage").screenshot())).convert("RGB")
    ).astype(int)


def share(image: np.ndarray, name: str) -> float:
    """Part of a screenshot that has the colour of a picture."""
    return float((np.abs(image - COLOURS[name]).max(2) <= 4).mean())


def test_no_network_and_no_complaints(opened: tuple[Any, list[str], list[str]]) -> None:
    page, asked, complaints = opened
    for name in ("#clip", "#quality", "#zoom", "#left-side", "#right-side"):
        page.select_option(name, index=1)
    page.locator("summary").first.click()
    assert asked == [page.url]
    assert page.url.startswith("file:")
    assert complaints == []
    assert (
        page.evaluate(
            "performance.getEntriesByType('resource').filter(e => "
            "!e.name.startsWith('data:')).length"
        )
        == 0
    )


def test_slider_uncovers_the_other_picture(opened: tuple[Any, list[str], list[str]]) -> None:
    page, _, _ = opened
    slider = page.locator("#slider")
    seen = {}
    for at in ("50", "90", "10"):
        slider.fill(at)
        seen[at] = shot(page)
        assert share(seen[at], "original") == pytest.approx(int(at) / 100, abs=0.05), at
        assert share(seen[at], "ours") == pytest.approx(1 - int(at) / 100, abs=0.05), at
    # between the two positions, and only there, the picture has changed
    changed = (np.abs(seen["90"] - seen["10"]).max(2) > 30).mean(0)
    width = len(changed)
    assert changed[int(0.16 * width) : int(0.84 * width)].min() > 0.9
    assert changed[: int(0.05 * width)].max() == changed[int(0.95 * width) :].max() == 0


def test_slider_with_mouse_and_keys(opened: tuple[Any, list[str], list[str]]) -> None:
    page, _, _ = opened
    box = page.locator("#slider").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 60, steps=3)
    page.mouse.up()
    assert share(shot(page), "original") == pytest.approx(0.25, abs=0.05)
    page.keyboard.press("End")
    assert share(shot(page), "ours") < 0.02
    page.keyboard.press("Home")
    assert share(shot(page), "original") < 0.02
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert share(shot(page), "original") == pytest.approx(0.1, abs=0.04)
    assert page.locator("#slider").get_attribute("aria-valuetext") == "10 % left, 90 % right"
    # everything that can be changed is reached with the tab key
    page.locator("#clip").focus()
    reached = [page.evaluate("document.activeElement.id")]
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert [r for r in reached if r] == [
        "clip",
        "quality",
        "left-side",
        "right-side",
        "zoom",
        "slider",
    ]


def test_choices(opened: tuple[Any, list[str], list[str]]) -> None:
    page, _, _ = opened
    page.locator("#slider").fill("50")
    page.select_option("#quality", index=1)
    assert share(shot(page), "ours-small") == pytest.approx(0.5, abs=0.05)
    page.select_option("#left-side", label="x264-medium")
    assert share(shot(page), "theirs") == pytest.approx(0.5, abs=0.05)
    assert share(shot(page), "original") < 0.02
    assert page.locator("#left-caption").inner_text() == (
        "x264-medium\ncrf 40, 60.0 kbit/s (+20.0 % bits), PSNR 31.20 dB, MS-SSIM 12.00 dB, "
        "VMAF 90.0, blocking 1.03"
    )
    page.select_option("#clip", label="second")
    assert page.locator("#left").get_attribute("alt") == "frame 4 of second, x264-medium"
    page.select_option("#zoom", label="2 : 1")
    assert page.locator("#right").bounding_box()["width"] == 2 * SIZE[0]


def test_small_and_dark(opened: tuple[Any, list[str], list[str]]) -> None:
    page, _, _ = opened
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    curve = page.evaluate(
        "getComputedStyle(document.querySelector('.charts path[style*=\"--line-0\"]')).stroke"
    )
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    assert (
        page.evaluate(
            "getComputedStyle(document.querySelector('.charts path[style*=\"--line-0\"]')).stroke"
        )
        != curve
    )
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_telephone_shows_whole_tables_and_readable_curves(
    opened: tuple[Any, list[str], list[str]],
) -> None:
    page, _, _ = opened
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("(e => e.scrollWidth <= e.clientWidth)(document.getElementById('bits'))")
    shown = page.locator("#bits thead th:visible").all_inner_texts()
    assert shown == ["clip", "against", "PSNR (6Y+U+V)/8, mean of frames", "VMAF"]
    heights = page.evaluate(
        "[...document.querySelectorAll('.charts text')].map(t => t.getBoundingClientRect()).map(r "
        "=> Math.min(r.width, r.height)).filter(h => h > 0)"
    )
    assert min(heights) >= 7
    inside = (
        "(s => s.getBoundingClientRect().right <= "
        "s.closest('.card').getBoundingClientRect().right - 4)"
    )
    assert page.evaluate(f"{inside}(document.getElementById('quality'))")


def test_three_curves_stand_in_a_row(opened: tuple[Any, list[str], list[str]]) -> None:
    page, _, _ = opened
    page.set_viewport_size({"width": 1280, "height": 900})
    tops = page.evaluate(
        "[...document.querySelector('.charts').children].map(c => c.getBoundingClientRect().top)"
    )
    assert len(tops) == 3
    assert len(set(tops)) == 1


def test_one_value_is_no_range_and_nothing_is_ruled_off_below_the_mean(
    opened: tuple[Any, list[str], list[str]],
) -> None:
    page, _, _ = opened
    under = "getComputedStyle(document.querySelector('tr.mean th[rowspan]')).borderBottomWidth"
    assert page.evaluate(under) == "0px"
    ranges = page.locator("#bits tr.mean .range").all_inner_texts()
    assert ranges == ["-12.3 % to -12.3 %", "-11.9 % to -11.9 %", "2 undefined", "1 undefined"]
