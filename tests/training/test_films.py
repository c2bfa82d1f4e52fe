from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from vqcodec.analysis.features import NAMES
from vqcodec.reading.info import info
from vqcodec.training.film_bodies import TEXTURE, body, eased
from vqcodec.training.film_cameras import CAMERAS, UNKNOWN, Material, camera
from vqcodec.training.film_edits import KINDS, LONG, Editor, Film, Pace, Transition, _Effect
from vqcodec.training.film_material import (
    HELD,
    Settings,
    Stories,
    draw_film,
    encode_film,
    truth_of,
)
from vqcodec.training.film_scenes import LURES, Scenes
from vqcodec.training.shot_net import Labelled, _blocks, _shares
from vqcodec.training.shot_score import Guess, Score

SIZE = (64, 48)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two pictures without any likeness."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / "dark.png", folder / "bright.png"]
    rows, columns = np.mgrid[0:96, 0:160]
    for path, base in zip(paths, (30, 200), strict=True):
        wave = base + 25 * np.sin(rows / (3 + base / 40)) + 20 * np.cos(columns / 5)
        cv2.imwrite(str(path), np.repeat(wave[..., None], 3, 2).astype(np.uint8))
    return paths


def drawn(photos: list[Path], seed: int) -> tuple[Film, list[np.ndarray]]:
    """A film of eight changes."""
    editor = Editor(Material([], photos, *SIZE), np.random.default_rng(seed), SIZE)
    frames = list(editor.frames(8))
    return editor.film, frames


@pytest.mark.parametrize("seed", range(4))
def test_labels_are_those_of_the_transitions(photos: list[Path], seed: int) -> None:
    film, frames = drawn(photos, seed)
    assert len(frames) == len(film.labels) == len(film.cameras) == len(film.change)
    assert len(film.lures) == len(frames)
    assert len(film.transitions) == 8
    labels = np.array(film.labels)
    for kind, start, end in film.transitions:
        label = 1 + KINDS.index(kind)
        assert (labels[start : max(end, start + 1)] == label).all()
        assert film.shots[start - 1] + 1 == film.shots[max(end, start)]
        assert all(c == UNKNOWN for c in film.cameras[start:end])
    assert all(f.shape == (SIZE[1], SIZE[0], 3) and f.dtype == np.uint8 for f in frames)


def test_frames_of_a_flash_and_the_one_behind_are_its_lures() -> None:
    """Within a shot a flash is what makes two frames apart look like another scene."""
    grey = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    for seed in range(8):
        effect = _Effect(np.random.default_rng(seed), "flash", 5, None)
        changed = [not np.array_equal(effect(grey, i), grey) for i in range(20)]
        jumps = [i for i in range(1, 20) if changed[i] != changed[i - 1]]
        assert changed.count(True) in (1, 2, 3)
        assert all(effect.shows(i) for i in jumps)
        assert [i for i in range(20) if effect.shows(i)] == list(range(jumps[0], jumps[1] + 1))


def test_a_film_in_another_encode_shows_the_same(photos: list[Path], tmp_path: Path) -> None:
    """It is drawn once; size and quality change, and what is true of it goes along."""
    editor = Editor(Material([], photos, *SIZE), np.random.default_rng(3), SIZE, Pace((7, 9)))
    clip = tmp_path / "drawn.mkv"
    film = draw_film(editor, 1, 7, clip)
    for number, (width, height) in enumerate([SIZE, (48, 32)]):
        out = tmp_path / f"film-{number}.vqv"
        encode_film(clip, Settings(width, height, 40, "fastest", 16), out)
        found = info(out)
        assert (found.width, found.height, found.frames) == (width, height, len(film.labels))
        truth = truth_of(out)
        assert truth["lures"].tolist() == film.lures
        assert json.loads(str(truth["settings"]))["width"] == width
        assert int(truth["story"]) == 7
    assert not list(tmp_path.glob("*.scaled.mkv"))


def test_one_number_makes_one_film(photos: list[Path]) -> None:
    first, second = drawn(photos, 1)[1], drawn(photos, 1)[1]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_cameras_do_what_they_are_called() -> None:
    rng = np.random.default_rng(4)
    for kind in CAMERAS:
        path = camera(rng, kind, 60).path
        moves = np.hypot(np.diff(path.right), np.diff(path.down))
        zooms = np.abs(np.diff(np.log(path.zoom)))
        assert (moves.mean() > 0.002) == (kind in ("pan", "shaky"))
        assert (zooms.max() > 0.002) == (kind == "zoom")


def test_no_source_is_trained_on_and_held() -> None:
    names = [f"{source}-{n}" for source in "abcdefghijkl" for n in range(1 + ord(source) % 4)]
    stories = Stories([], [Path(f"{name}.png") for name in names], 1)
    shown = [
        {path.stem for path in stories.editor(story, 64, 48)._material.photos}
        for story in (3, HELD + 3)
    ]
    assert not {n[0] for n in shown[0]} & {n[0] for n in shown[1]}
    assert shown[0] | shown[1] == set(names)
    assert 1 <= len(shown[1]) <= len(names) / 8


def test_a_shot_shows_another_recording_than_the_one_before(photos: list[Path]) -> None:
    editor = Editor(Material([], photos, *SIZE), np.random.default_rng(5), SIZE)
    shot = editor._new_shot(None)
    for _ in range(12):
        before, shot = shot, editor._new_shot(shot)
        assert shot.recording != before.recording


def test_score_counts_each_find_once() -> None:
    score = Score()
    truth = [Transition("cut", 20, 20), Transition("dissolve", 40, 52), Transition("cut", 70, 70)]
    found = [Guess(21, 21, "cut"), Guess(22, 22, "cut"), Guess(39, 50, "wipe"), Guess(90, 95, "")]
    score.add(truth, found)
    assert score.found == {"cut": 1, "dissolve": 1, "fade": 0, "wipe": 0}
    assert (score.false["cut"], score.false[""], score.mistaken["wipe"]) == (1, 1, 1)
    # of two cuts one is found; false are one cut and one that does not say its kind
    assert score.f1("cut") == pytest.approx(2 * 1 / (2 + 3))
    assert score.f1_named("dissolve") == 0


def test_score_takes_no_cut_three_frames_away() -> None:
    score = Score()
    score.add([Transition("cut", 20, 20)], [Guess(23, 23, "cut")])
    assert score.found["cut"] == 0


def test_long_shots_show_their_bodies_and_end_at_their_changes(photos: list[Path]) -> None:
    """What moves within a shot is no change, however much of the picture it is."""
    pace = LONG._replace(lengths=(20, 60), shares=(0.7, 0.1, 0.1, 0.1))
    editor = Editor(Scenes([], photos, *SIZE), np.random.default_rng(2), SIZE, pace)
    frames = list(editor.frames(6))
    film = editor.film
    assert len(frames) == len(film.labels)
    moving = set(film.lures) & {*LURES, *CAMERAS, "scroll"}
    assert len(moving) > 1
    cuts = [t.start for t in film.transitions if t.kind == "cut"]
    assert all(film.labels[at] == 1 + KINDS.index("cut") for at in cuts)
    assert film.labels.count(1 + KINDS.index("cut")) == len(cuts)
    within = [i for i in range(1, len(frames)) if film.shots[i] == film.shots[i - 1]]
    still = [i for i in within if film.lures[i] == "body" and not film.labels[i]]
    assert any((frames[i] != frames[i - 1]).any() for i in still)


def test_a_body_stays_within_its_lengths_and_moves_with_its_root() -> None:
    """Another place is the same body there: nothing else of a picture changes."""

    def grey() -> np.ndarray:
        return np.full((TEXTURE, TEXTURE, 3), 200, np.uint8)

    one = body(np.random.default_rng(7), 30, 0.3, grey)
    one.root[:] = (0.3, 0.5)
    left, right = (np.zeros((60, 120, 3), np.uint8) for _ in range(2))
    one.draw(left, 5)
    one.root[:] = (0.3 + 20 / 120, 0.5)
    one.draw(right, 5)
    assert left.any()
    assert not left[:, 100:].any()
    assert np.abs(left[:, :100].astype(int) - right[:, 20:]).max() <= 1


def test_an_eased_value_goes_softly_within_its_bounds() -> None:
    value = eased(np.random.default_rng(3), 400, -1.0, 1.0, 0.5)
    assert np.abs(value).max() <= 1
    assert (np.diff(value) == 0).mean() > 0.2  # it rests
    assert np.abs(np.diff(value)).max() < 0.8


def test_samples_begin_within_long_shots_too() -> None:
    """A shot of some GOPs is not learned from its beginning alone."""
    rows = np.zeros((700, len(NAMES)), np.float32)
    rows[[0, 100, 228, 356, 484, 600], NAMES.index("gop start")] = 1
    labels = np.zeros(700, np.int64)
    labels[[100, 600]] = 1
    labels[340:370] = 2  # a dissolve
    film = Labelled(rows, labels, labels - 1, labels * 1.0, labels, 3)
    blocks = _blocks([film])
    assert [(b.start, b.stop) for b in blocks] == [
        (0, 100),
        (100, 600),
        (228, 600),
        (484, 600),
        (600, 700),
    ]
    assert _shares(blocks).sum() == pytest.approx(1)
