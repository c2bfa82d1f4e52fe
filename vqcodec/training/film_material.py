"""Made films encoded by this encoder over its settings, with the truth beside each file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from ..container.packets import StreamHeader
from ..media.inputs import open_source
from ..media.sink import OutputChoice, VideoSink, open_sink
from ..options import EncodeOptions
from ..pipeline.encode import encode
from ..span import Time
from .film_cameras import Material
from .film_edits import LONG, QUICK, Editor, Film, Pace
from .film_scenes import Scenes
from .synthetic import RATE, to_picture

TRANSITIONS = 14  # of a film
HELD = 10_000  # stories from this number on show nothing that those before show
_SHARES = 8  # of the material, one of them for these stories
_SIZES = ((128, 64), (192, 108), (192, 128), (256, 144), (320, 180))
_SIZE_SHARES = (0.35, 0.4, 0.08, 0.1, 0.07)
_CRFS = (18, 50)  # lowest and highest
_CRF_ENDS = 0.5  # of a beta distribution between them: most crfs are near an end, which is harder
_PRESETS = ("fastest", "faster", "fast", "medium")
_PRESET_SHARES = (0.5, 0.15, 0.27, 0.08)  # what fastest tries least tells least
_SLOWER = Pace((16, 80))
_SLOWER_SHARE = 0.25  # of films that are not long
_HARDER = (0.4, 0.25, 0.15, 0.2)  # shares of KINDS in those that are trained on: more wipes
_LONG_SIZES = ((128, 72), (128, 64), (96, 54), (192, 108))
_LONG_SIZE_SHARES = (0.6, 0.2, 0.1, 0.1)
_LONG_PRESETS = (0.6, 0.1, 0.3, 0)
_GOPS = (128, 96, 64, 48, 25, 16, 8)
_GOP_SHARES = (0.5, 0.08, 0.14, 0.1, 0.08, 0.06, 0.04)
_AGAIN = 3  # each film of this number is the one before it, encoded in another way


@dataclass(frozen=True)
class Settings:
    """How a film is encoded."""

    width: int
    height: int
    crf: int
    preset: str
    gop: int

    @classmethod
    def drawn(cls, rng: np.random.Generator, long: bool = False) -> Settings:
        """Any that occur; those of long films are small and quick."""
        sizes, shares = (_LONG_SIZES, _LONG_SIZE_SHARES) if long else (_SIZES, _SIZE_SHARES)
        width, height = sizes[rng.choice(len(sizes), p=shares)]
        preset = str(rng.choice(_PRESETS, p=_LONG_PRESETS if long else _PRESET_SHARES))
        gop = int(rng.choice(_GOPS, p=_GOP_SHARES))
        crf = _CRFS[0] + round((_CRFS[1] - _CRFS[0]) * rng.beta(_CRF_ENDS, _CRF_ENDS))
        return cls(width, height, crf, preset, gop)


def draw_film(editor: Editor, transitions: int, story: int, clip: Path) -> Film:
    """Draw a film, lossless, to ``clip``, and write what is true of it to a .npz file beside it.

    story: its number, the same for films that show the same.
    """
    sink, part = None, clip.with_suffix(".part" + clip.suffix)
    for time, rgb in enumerate(editor.frames(transitions)):
        sink = sink or lossless(part, rgb.shape[1], rgb.shape[0])
        sink.write(time, to_picture(rgb))
    assert sink is not None
    sink.close()
    film = editor.film
    np.savez_compressed(
        clip.with_suffix(".npz"),
        labels=np.array(film.labels, np.uint8),
        cameras=np.array(film.cameras, np.int8),
        shots=np.array(film.shots, np.int16),
        change=np.array(film.change, np.float32),
        lures=np.array(film.lures),
        story=story,
        transitions=json.dumps([t._asdict() for t in film.transitions]),
    )
    part.replace(clip)
    return film


def encode_film(
    clip: Path, settings: Settings, out: Path, frames: int | None = None, first: int = 0
) -> None:
    """Encode a film that is drawn to ``out``, so many frames from the ``first`` on or all; what is
    true of all of it goes with it.
    """
    options = EncodeOptions(
        crf=settings.crf,
        preset=settings.preset,
        gop=settings.gop,
        threads=1,
        device="cpu",
        start=Time(frames=first) if first else None,
        duration=None if frames is None else Time(frames=frames),
    )
    coded, scaled = out.with_suffix(".part.vqv"), out.with_suffix(".scaled.mkv")
    source = _scaled(clip, settings, scaled)
    encode(source, coded, options, overwrite=True)  # also what a run that was stopped left
    scaled.unlink(missing_ok=True)
    known = truth_of(clip) | {"settings": np.array(json.dumps(asdict(settings)))}
    with out.with_suffix(".npz").open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **known)
    coded.replace(out)


def lossless(path: Path, width: int, height: int) -> VideoSink:
    """A file for films that are not encoded yet."""
    header = StreamHeader(width, height, Fraction(1, RATE), rate=Fraction(RATE))
    return open_sink(path, header, choice=OutputChoice(vcodec="ffv1"))


def _scaled(clip: Path, settings: Settings, to: Path) -> Path:
    """The clip in the size that is wanted: itself, or a lossless copy at ``to``."""
    size = settings.width, settings.height
    with open_source(clip) as source:
        stream = source.container.streams.video[0]
        if (stream.width, stream.height) == size:
            return clip
        sink = lossless(to, *size)
        how = cv2.INTER_AREA if settings.width < stream.width else cv2.INTER_CUBIC
        for time, frame in enumerate(source.container.decode(stream)):
            rgb = cv2.resize(frame.to_ndarray(format="rgb24"), size, interpolation=how)
            sink.write(time, to_picture(np.asarray(rgb)))
        sink.close()
    return to


def film_path(folder: Path, story: int) -> Path:
    """Where the film of a story lies."""
    return folder / f"film-{story:05d}.vqv"


def drawn_path(folder: Path, story: int) -> Path:
    """Where a story lies that is drawn and not encoded."""
    return folder / f"drawn-{story:05d}.mkv"


def make_films(
    folder: Path,
    clips: list[Path],
    photos: list[Path],
    count: int,
    seed: int,
    log: Callable[[str], object],
) -> None:
    """Make those of ``count`` films that the folder does not have yet, and an eighth as many of
    stories from HELD on.

    Each third is the one before it, encoded in another way; of six, three have long shots.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stories = Stories(clips, photos, seed)
    for number in _order(count):
        out = film_path(folder, number)
        if out.exists():
            continue
        again = number % _AGAIN == _AGAIN - 1
        story = number - 1 if again else number
        editor, drawn = stories.begin(story)
        if again:
            drawn = _same_shape(drawn, np.random.default_rng([seed, number, 1]), _is_long(story))
        clip = drawn_path(folder, story)
        if not clip.exists():
            draw_film(editor, TRANSITIONS, story, clip)
        encode_film(clip, drawn, out)
        log(f"film {number}: {drawn}")
        if number % _AGAIN != _AGAIN - 2:  # the next one is not this one again
            clip.unlink()
            clip.with_suffix(".npz").unlink()


def _order(count: int) -> Iterator[int]:
    """Numbers of films: behind each eighth one of a story that is held back."""
    for number in range(count):
        yield number
        if number % _SHARES == _SHARES - 1:
            yield HELD + number // _SHARES


class Stories:
    """The films that are made of some material, each always the same for its number.

    An eighth of the recordings and photographs is for the stories from HELD on alone, so that nets
    can be tried on films of which they have seen nothing.
    """

    def __init__(self, clips: list[Path], photos: list[Path], seed: int) -> None:
        self._seed = seed
        self._parts = list(zip(_shared_out(clips), _shared_out(photos), strict=True))

    def begin(self, story: int) -> tuple[Editor, Settings]:
        """What draws a film, and how it is encoded."""
        rng, long = np.random.default_rng([self._seed, story]), _is_long(story)
        drawn = Settings.drawn(rng, long)
        return self.editor(story, drawn.width, drawn.height, rng, long), drawn

    def editor(
        self,
        story: int,
        width: int,
        height: int,
        rng: np.random.Generator | None = None,
        long: bool = False,
    ) -> Editor:
        """What draws a film of this size, with long shots or not."""
        rng = rng or np.random.default_rng([self._seed, story])
        material, size = self.material(story, width, height), (width, height)
        if long:
            clips, photos = material.clips, material.photos
            return Editor(Scenes(clips, photos, width, height), rng, size, LONG)
        pace = _SLOWER if rng.random() < _SLOWER_SHARE else QUICK
        if story < HELD:
            pace = pace._replace(shares=_HARDER)
        return Editor(material, rng, size, pace)

    def material(self, story: int, width: int, height: int) -> Material:
        """Where the shots of a story are taken from."""
        clips, photos = self._parts[story >= HELD]
        return Material(clips, photos, width, height)

    def held(self, clips: list[Path]) -> np.ndarray:
        """(clips,) bool: which of them are for the stories from HELD on."""
        held = set(self._parts[1][0])
        return np.array([clip in held for clip in clips])


def _shared_out(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """What is trained on, and about an eighth that is not; files of one source, the first word of
    their names, are on one side.
    """
    sources: dict[str, list[Path]] = {}
    for path in paths:
        sources.setdefault(path.stem.split("-")[0], []).append(path)
    held: list[Path] = []
    for own in sorted(sources.values(), key=len)[::2]:  # many small ones
        if len(held) + len(own) <= len(paths) / _SHARES:
            held += own
    kept = set(held)
    return [p for p in paths if p not in kept], held


def _is_long(story: int) -> bool:
    """Whether the films of a story have long shots."""
    return story // _AGAIN % 2 == 1


def _same_shape(before: Settings, rng: np.random.Generator, long: bool) -> Settings:
    """Other settings for the same film, upright or not as it was."""
    drawn = Settings.drawn(rng, long)
    while (drawn.width > drawn.height) != (before.width > before.height):
        drawn = Settings.drawn(rng, long)
    return drawn


def films(folder: Path) -> Iterator[tuple[Path, dict[str, np.ndarray]]]:
    """All films of a folder with what is true of them."""
    for path in sorted(folder.glob("film-*.vqv")):
        truth = path.with_suffix(".npz")
        if truth.exists():
            yield path, truth_of(path)


def truth_of(path: Path) -> dict[str, np.ndarray]:
    """What is true of a film, by the file that lies beside it; nothing where there is none."""
    beside = path.with_suffix(".npz")
    if not beside.exists():
        return {}
    with np.load(beside) as found:
        return dict(found)
