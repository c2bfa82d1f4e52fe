"""What a recipe trains on: crops of pictures and pairs, and what is held out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..picture import Picture
from . import chunks
from .chains import Chains
from .config import Config
from .crops import Crops
from .evaluation import HeldOut
from .pictures import packed_picture, read_clip, read_photo

PHOTO_SHARE = 40  # every fortieth photograph is held out
STEP, HELD_STEP = 30, 60  # frames between those of a clip that are trained on; held out
MOST_HELD = 12  # items
FAINT = 0.2  # share of the samples of the intra nets that lie near black or white
LARGEST = 320  # samples of their width and height
PAGE = (480, 384)
STAND_IN_FRAMES = 16  # of each clip


class Material(NamedTuple):
    """Crops, held-out items, and what looks for new data."""

    crops: Crops
    held_out: list[HeldOut]
    refresh: Callable[[], object] | None = None
    chains: Chains | None = None


class Materials:
    """The data of a recipe, read when asked for."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.train_clips, self.held_clips = config.train_clips, config.held_clips
        self.pair_folder = config.folder / "pairs"
        self.held_folder = config.folder / "pairs-held"
        self.clip_folder = config.folder / "clips"
        self.key_nets = False  # whether key frames have nets of their own by now
        # that codecs made, by what their names begin with, and with chains or without
        self._pairs: dict[tuple[tuple[str, ...], bool], Material] = {}

    def made_clips(self) -> list[Path]:
        """What a ``clips`` stage has made."""
        return sorted(self.clip_folder.glob("*.mkv"))

    def of(self, kind: str, chains: bool = False) -> Material:
        """For nets of a kind."""
        return self.pictures if kind == "intra" else self.pairs(kind, chains)

    @cached_property
    def pictures(self) -> Material:
        """Pictures for the intra nets. Raises InputError where none is large enough."""
        config = self.config
        crops = Crops(config.crop, config.seed, FAINT)
        held = config.photos[::PHOTO_SHARE] if len(config.photos) >= PHOTO_SHARE else []
        with ThreadPoolExecutor(config.threads) as pool:
            for photo in pool.map(read_photo, [f for f in config.photos if f not in held]):
                crops.add(photo)
            for frames in pool.map(lambda clip: read_clip(clip, STEP), self.train_clips):
                for picture in frames:
                    crops.add(picture)
        for picture in pages(config.pages, config.seed + 1):
            crops.add(picture)
        if not crops.items:
            raise InputError(f"no training picture is at least {config.crop} samples wide and high")
        measured = [read_photo(f) for f in held] or [
            picture for clip in self.held_clips for picture in read_clip(clip, HELD_STEP)
        ]
        items = [HeldOut(packed_picture(p, LARGEST), None) for p in measured[:MOST_HELD]]
        return Material(crops, items)

    def pairs(self, kind: str = "inter", chains: bool = False) -> Material:
        """Pairs for the inter or the key nets, and chains. As long as there are no nets of key
        frames the inter nets have their pairs too.

        Raises InputError where no clip is large enough.
        """
        names = self._names(kind)
        if (names, chains) in self._pairs:
            known = self._pairs[names, chains]
            if known.refresh:
                known.refresh()
            return known
        config = self.config
        crops = Crops(config.crop, config.seed)
        chain_crops = Chains(config.crop, config.seed) if chains else None

        def refresh() -> None:
            for name in names:
                crops.add_pairs(self.pair_folder, name)
            if chain_crops is not None:
                chain_crops.add_folder(self.pair_folder)

        refresh()
        material = Material(crops, self._held_pairs(names), refresh, chain_crops)
        if crops.items:
            self._pairs[names, chains] = material
        else:
            self._add_stand_ins(crops)
        if not crops.items:
            raise InputError(f"no training clip is at least {config.crop} samples wide and high")
        return material

    def _add_stand_ins(self, crops: Crops) -> None:
        """No codec has made pairs yet: the previous frame stands in for the prediction."""
        for clip in self.train_clips:
            frames = read_clip(clip, limit=STAND_IN_FRAMES)
            # an odd one at the end has no partner
            for before, picture in zip(frames[::4], frames[1::4], strict=False):
                crops.add(picture, before)

    def _names(self, kind: str) -> tuple[str, ...]:
        """What the names of the chunks that nets learn from begin with."""
        if kind == "key":
            return (chunks.KEYS,)
        return (chunks.PAIRS,) if self.key_nets else (chunks.PAIRS, chunks.KEYS)

    def _held_pairs(self, names: tuple[str, ...]) -> list[HeldOut]:
        test = Crops(64, self.config.seed)
        for name in names:
            test.add_pairs(self.held_folder, name)
        step = max(1, len(test.items) // MOST_HELD)
        items = [
            HeldOut(packed_picture(picture, LARGEST), packed_picture(prediction, LARGEST))
            for picture, prediction, _ in test.items[::step]
            if prediction is not None
        ]
        return items[:MOST_HELD]


def pages(count: int, seed: int) -> list[Picture]:
    """Made pages of text and graphics."""
    from .synthetic import page, to_picture  # pillow and matplotlib, which only they need

    rng = np.random.default_rng(seed)
    return [to_picture(page(rng, *PAGE)) for _ in range(count)]
