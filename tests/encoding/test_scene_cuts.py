"""Where GOPs begin on made cuts, flashes, fades and dissolves."""

from __future__ import annotations

import numpy as np
import pytest

from vqcodec.codec.gop_structure import MINI_GOP
from vqcodec.encoding.scene_changes import flash_frames, thumbnail
from vqcodec.encoding.scene_cuts import GopCutter, SceneDetector, Verdict
from vqcodec.picture import Picture

HEIGHT, WIDTH = 72, 128
Scene = list[np.ndarray]


def scene(seed: int, frames: int = 64, gain: float = 1.0) -> Scene:
    """Luma of soft shapes that pan slowly, 0..255."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    at, size = rng.uniform(0, (HEIGHT, WIDTH), (24, 2)), rng.uniform(5, 18, 24)
    light, (dy, dx) = rng.uniform(-90, 90, 24), rng.uniform(-0.6, 0.6, 2)
    out = []
    for i in range(frames):
        p = np.full((HEIGHT, WIDTH), 128.0)
        for (cy, cx), s, v in zip(at, size, light, strict=True):
            p += v * np.exp(-((y - cy - dy * i) ** 2 + (x - cx - dx * i) ** 2) / s**2)
        out.append(gain * np.clip(p, 16, 235))
    return out


def picture(luma: np.ndarray) -> Picture:
    chroma = np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)
    return Picture(np.clip(np.rint(luma), 0, 255).astype(np.uint8), chroma, chroma)


def cuts(pictures: Scene) -> list[int]:
    detector = SceneDetector()
    found = [v for p in pictures for v in detector.push(picture(p))] + detector.flush()
    assert len(found) == len(pictures)
    return [i for i, v in enumerate(found) if v.cut]


def starts(pictures: Scene) -> list[int]:
    """First frames of the GOPs."""
    cutter, first, out = GopCutter(128), True, []
    groups = [g for i, p in enumerate(pictures) for g in cutter.push(i, picture(p))]
    for group, ends in groups + cutter.flush():
        out += [group[0][0]] if first else []
        first = ends
    return out


@pytest.mark.parametrize("gain", [1.0, 0.2])
@pytest.mark.parametrize("at", [5, 16, 17, 33, 61])
def test_a_gop_starts_at_a_cut(at: int, gain: float) -> None:
    pictures = scene(1, at, gain) + scene(2, 64 - at, gain)
    assert starts(pictures) == [0, at]


def test_every_shot_of_a_montage_starts_a_gop() -> None:
    assert starts([p for i in range(8) for p in scene(i, 5)]) == list(range(0, 40, 5))


@pytest.mark.parametrize("kind", ["bright", "white", "black", "dim", "another scene"])
@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_flash_is_no_cut(kind: str, length: int) -> None:
    pictures, other = scene(1, 48), scene(2, 48)
    for i in [*range(8, 8 + length), *range(21, 21 + length)]:
        pictures[i] = {
            "bright": pictures[i] * 1.35 + 70,
            "white": np.full((HEIGHT, WIDTH), 235.0),
            "black": np.full((HEIGHT, WIDTH), 16.0),
            "dim": pictures[i] * 0.4,
            "another scene": other[i],
        }[kind]
    assert starts(pictures) == [0]
    flashes = flash_frames([thumbnail(picture(p).y) for p in pictures])
    assert flashes == {*range(8, 8 + length), *range(21, 21 + length)}


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_flash_at_a_cut_starts_one_gop(length: int) -> None:
    white = [np.full((HEIGHT, WIDTH), 235.0)] * length
    found = cuts(scene(1, 20) + white + scene(2, 20))
    assert len(found) == 1
    assert 20 <= found[0] <= 20 + length


@pytest.mark.parametrize("white", [True, False])
@pytest.mark.parametrize("after", [2, 3])
def test_a_flash_soon_behind_a_cut_does_not_hide_it(after: int, white: bool) -> None:
    pictures = scene(1, 20) + scene(2, 20)
    for i in range(20 + after, 23 + after):
        pictures[i] = np.full((HEIGHT, WIDTH), 235.0 if white else 16.0)
    assert cuts(pictures) == [20]


def test_black_soon_behind_a_cut_from_a_dark_scene_does_not_hide_it() -> None:
    pictures = scene(1, 20, 0.2) + scene(2, 20)
    pictures[23:26] = [np.full((HEIGHT, WIDTH), 16.0)] * 3
    assert cuts(pictures) == [20]


def test_a_cut_from_pictures_that_change_much_to_rest_is_found() -> None:
    """As from rain or a fire."""
    wild = [0.4 * p + 0.6 * scene(10 + i, 1)[0] for i, p in enumerate(scene(1, 20))]
    assert cuts(wild + scene(2, 20)) == [20]


def test_a_black_frame_in_a_fast_pan_is_no_cut() -> None:
    coarse = np.random.default_rng(4).uniform(16, 235, (HEIGHT // 8, 60))
    wide = coarse.repeat(8, 0).repeat(8, 1)
    fast = [wide[:, 3 * i : 3 * i + WIDTH] for i in range(30)]
    fast[10] = np.full((HEIGHT, WIDTH), 16.0)
    assert cuts(fast) == []


@pytest.mark.parametrize("top", [0, 27, 48])
def test_a_title_that_appears_is_no_cut(top: int) -> None:
    """Text over a third of the picture, bold, at once."""
    pictures = [p + 30 * np.sin(np.arange(WIDTH) / 2) for p in scene(1, 40)]
    letters = np.where(np.random.default_rng(3).random((24, WIDTH // 4)) < 0.5, 16.0, 235.0)
    for p in pictures[20:]:
        p[top : top + 24] = letters.repeat(4, 1)
    assert cuts(pictures) == []


@pytest.mark.parametrize("length", [3, 6, 14])
@pytest.mark.parametrize("flat", [16.0, 235.0])
@pytest.mark.parametrize("step", [1, -1])
def test_a_fade_is_no_cut(length: int, flat: float, step: int) -> None:
    share = [min(1.0, max(0.0, (i - 8) / length)) for i in range(40)]
    pictures = [flat + (p - flat) * s for p, s in zip(scene(1, 40), share, strict=True)]
    assert cuts(pictures[::step]) == []


@pytest.mark.parametrize("length", [5, 10, 20])
def test_a_dissolve_is_no_cut(length: int) -> None:
    share = [min(1.0, max(0.0, (i - 8) / length)) for i in range(40)]
    pairs = zip(scene(1, 40), scene(2, 40), share, strict=True)
    assert cuts([a * (1 - s) + b * s for a, b, s in pairs]) == []


def page(seed: int) -> np.ndarray:
    """A tall page of boxes."""
    boxes = np.random.default_rng(seed).choice([20.0, 80.0, 160.0, 230.0], (32, 10))
    return np.kron(boxes, np.ones((14, 14)))[:, :WIDTH]


@pytest.mark.parametrize("step", [0.35, 0.6])
def test_a_page_that_is_scrolled_far_is_no_cut(step: float) -> None:
    whole = page(4)
    tops = [round(step * HEIGHT) * (i // 16) for i in range(64)]
    assert starts([whole[top : top + HEIGHT] for top in tops]) == [0]


def test_a_cut_between_jumps_of_pages_is_found() -> None:
    """What comes before was at rest, and what changes right behind is over at once."""
    first, second = page(4), page(5)
    jumps = [(first, 0), (first, 0.35), (second, 0.1), (second, 0.8)]
    for rests in ([12, 3, 1, 12], [12, 2, 2, 12], [12, 12, 3, 12]):
        tops = [
            (whole, round(at * HEIGHT))
            for (whole, at), rest in zip(jumps, rests, strict=True)
            for _ in range(rest)
        ]
        found = cuts([whole[top : top + HEIGHT] for whole, top in tops])
        assert found == [sum(rests[:2])]


def test_soft_pictures_of_another_scene_are_a_cut() -> None:
    """Much of a smooth picture is like much of any other, but nothing of its texture is there."""
    grain = np.random.default_rng(1).uniform(-30, 30, (2, HEIGHT // 2, WIDTH // 2))
    first, second = 128 + np.linspace(-80, 80, WIDTH) + grain.repeat(2, 1).repeat(2, 2)
    assert cuts([first] * 12 + [second] * 12) == [12]


@pytest.mark.parametrize("length", [3, 12])
def test_black_frames_in_a_fast_pan_are_no_cut(length: int) -> None:
    coarse = np.random.default_rng(4).uniform(16, 235, (HEIGHT // 8, 60))
    wide = coarse.repeat(8, 0).repeat(8, 1)
    fast = [wide[:, 6 * i : 6 * i + WIDTH] for i in range(30)]
    fast[10:10] = [np.full((HEIGHT, WIDTH), 16.0)] * length
    assert cuts(fast) == []


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("upright", [True, False])
def test_a_camera_that_tilts_or_pans_straight_on_behind_black_frames_is_no_cut(
    upright: bool, way: int
) -> None:
    """Moves straight up, down or to a side were not tried where a size is a third of an odd one."""
    coarse = np.random.default_rng(4).uniform(16, 235, (48, 48))
    whole = coarse.repeat(8, 0).repeat(8, 1)
    fast = [
        whole[at : at + HEIGHT, :WIDTH] if upright else whole[:HEIGHT, at : at + WIDTH]
        for at in range(4, 184, 6)
    ][::way]
    fast[10:13] = [np.full((HEIGHT, WIDTH), 16.0)] * 3
    assert cuts(fast) == []


def test_another_page_is_a_cut() -> None:
    pages = [page(seed)[:HEIGHT] for seed in range(4)]
    assert starts([p for p in pages for _ in range(16)]) == [0, 16, 32, 48]


def test_a_cut_among_repeated_frames_is_found() -> None:
    pictures = [p for p in scene(1, 10) + scene(2, 10) for _ in range(2)]
    assert cuts(pictures) == [20]


def flight(seed: int, frames: int, speed: int = 7) -> Scene:
    """Luma of grains that fly by in depth, faster below: no picture has much of the one before."""
    grain = np.random.default_rng(seed).normal(0, 14, (HEIGHT // 2, 800)).repeat(2, 0).repeat(2, 1)
    depth = np.linspace(0.3, 1, HEIGHT)
    shift = [np.rint(i * speed * 2 * depth).astype(int) for i in range(frames)]
    rows, columns = np.arange(HEIGHT)[:, None], np.arange(WIDTH)
    return [60 + 80 * depth[:, None] + grain[rows, s[:, None] + columns] for s in shift]


def shown_often(pictures: Scene, times: int, deviation: float = 0.7) -> Scene:
    """Each so often, with the noise that an earlier codec leaves, which no two share."""
    noise = np.random.default_rng(6)
    return [p + noise.normal(0, deviation, p.shape) for p in pictures for _ in range(times)]


@pytest.mark.parametrize("deviation", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("times", [1, 2, 3, 4, 6])
def test_a_film_drawn_on_twos_has_no_cuts_where_all_moves(times: int, deviation: float) -> None:
    """An earlier codec leaves no two pictures equal: that pictures are shown twice was not seen,
    and each new one was taken for one that comes to rest.
    """
    assert cuts(shown_often(flight(7, 40), times, deviation)[: -2 * times]) == []


@pytest.mark.parametrize("times", [2, 3])
def test_a_cut_of_a_film_drawn_on_twos_is_found(times: int) -> None:
    both = flight(7, 14, 3) + scene(2, 14)
    assert cuts(shown_often(both, times)) == [14 * times]
    assert cuts(shown_often(both[::-1], times)) == [14 * times]


def panned(seed: int, frames: int, speed: float, noise: float) -> Scene:
    """Luma of coarse shapes that go by, so many samples a frame."""
    rng = np.random.default_rng(seed)
    whole = rng.uniform(20, 230, (HEIGHT // 8, 30)).repeat(8, 0).repeat(8, 1)
    first = [int(speed * i) for i in range(frames)]
    return [whole[:, at : at + WIDTH] + rng.normal(0, noise, (HEIGHT, WIDTH)) for at in first]


@pytest.mark.parametrize("noise", [0.0, 0.7])
def test_a_picture_that_rests_between_two_cuts_begins_a_shot(noise: float) -> None:
    """Repeated pictures are passed over, up to the next cut: that is no motion which goes on."""
    rng = np.random.default_rng(6)
    still = [scene(4, 1)[0] + rng.normal(0, noise, (HEIGHT, WIDTH)) for _ in range(6)]
    assert cuts(flight(6, 9, 4) + still + panned(4, 9, 0, 0)) == [9, 15]


@pytest.mark.parametrize("noise", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("speed", [0.0, 0.1, 0.3, 0.6])
@pytest.mark.parametrize("frames", [7, 11])
def test_a_quiet_shot_between_two_of_one_scene_is_no_flash(
    frames: int, speed: float, noise: float
) -> None:
    """Repeated pictures are passed over, so that it looks like one of a few frames."""
    both = panned(1, 40, speed, noise)
    film = both[:20] + panned(2, frames, speed, noise) + both[20:]
    assert cuts(film) == [20, 20 + frames]


@pytest.mark.parametrize("seed", range(40))
def test_wherever_cuts_and_flashes_lie_a_gop_begins_with_one_picture(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flash at the end of a full GOP goes into the next one, whose I frame is alone all the
    same."""
    rng = np.random.default_rng(seed)
    longest, count = int(rng.integers(1, 40)), 200
    flashes = np.repeat(rng.random(count) < 0.3, rng.integers(1, 4, count))[:count]
    said = (Verdict(not flash and rng.random() < 0.05, bool(flash)) for flash in flashes)
    monkeypatch.setattr(SceneDetector, "push", lambda *_: [next(said)])
    monkeypatch.setattr(SceneDetector, "flush", lambda _: [])
    flat = [picture(np.full((64, 64), int(luma), np.uint8)) for luma in rng.integers(0, 3, count)]
    cutter = GopCutter(longest)
    minis = [mini for pts, p in enumerate(flat) for mini in cutter.push(pts, p)] + cutter.flush()
    assert [timed.pts for mini in minis for timed in mini.pictures] == list(range(count))
    assert minis[-1].ends
    frames = 0  # of the GOP so far
    for mini in minis:
        assert 1 <= len(mini.pictures) <= (MINI_GOP if frames else 1)
        frames += len(mini.pictures)
        assert frames <= longest
        frames = 0 if mini.ends else frames
