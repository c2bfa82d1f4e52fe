"""A recipe's TOML file: its tables, to a Config."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..codec.nets.shape import INTER, INTRA, LARGE_INTRA, LARGE_KEY, NetShape
from ..codec.weights import released
from ..errors import InputError, UsageError, located
from ..system.suffixes import VIDEO
from .config import KINDS, NETS, Config, Stage

PHOTO_TYPES = (".webp", ".png", ".jpg", ".jpeg", ".bmp")
DATA_KEYS = ("clips", "photos", "held_out", "pages", "crop")
RUN_KEYS = ("folder", "threads", "seed", "init", "device", "batch", "fused")
_SHAPES = {"intra": INTRA, "inter": INTER}
_LARGE = {"intra": LARGE_INTRA, "key": LARGE_KEY}
Table = dict[str, Any]  # what a TOML file says; the Config checks each value


def load_config(path: str | Path) -> Config:
    """Read a recipe.

    Raises InputError for a missing or malformed file or folder, UsageError for an unknown key or
    value.
    """
    path = Path(path)
    with located(file=path):
        try:
            tables = tomllib.loads(path.read_text())
        except FileNotFoundError as exc:
            raise InputError("no such file") from exc
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise InputError(exc) from exc
        try:
            return _config(path.resolve().parent, tables)
        except (AttributeError, TypeError) as exc:  # values of another type
            raise UsageError(exc) from exc


def _config(base: Path, tables: Table) -> Config:
    data, run = tables.pop("data", {}), tables.pop("run", {})
    shapes = tables.pop("shape", {})
    stages = [_stage(n, given) for n, given in enumerate(tables.pop("stage", []))]
    _check_keys("[data]", data, DATA_KEYS)
    _check_keys("[run]", run, RUN_KEYS)
    if tables:
        raise UsageError(
            f"unknown table {next(iter(tables))!r}; there are data, run, stage and shape"
        )
    if not stages:
        raise UsageError("no [[stage]]")
    for kind in shapes:
        if kind not in NETS:
            raise UsageError(f"unknown shape {kind!r}; there are {', '.join(NETS)}")
    held_out = data.pop("held_out", None)
    return Config(
        clips=_files(base, data.pop("clips", []), VIDEO),
        photos=_files(base, data.pop("photos", []), PHOTO_TYPES),
        held_out=None if held_out is None else set(held_out),
        folder=base / run.pop("folder", "runs/default"),
        stages=stages,
        init=_init(base, run.pop("init", {})),
        shapes=_shapes(shapes),
        **data,
        **run,
    )


def _check_keys(where: str, given: Mapping[str, object], names: Sequence[str]) -> None:
    """UsageError for a key that is none, with the one that was probably meant."""
    for key in given:
        if key not in names:
            near = get_close_matches(key, names, 1)
            meant = f", did you mean {near[0]!r}?" if near else ", allowed are " + ", ".join(names)
            raise UsageError(f"{where}: unknown key {key!r}{meant}")


def _stage(number: int, given: Table) -> Stage:
    where = f"stage {number} ({given.get('kind', 'without a kind')})"
    _check_keys(where, given, [f.name for f in fields(Stage)])
    if "kind" not in given:
        raise UsageError(f"stage {number}: kind is missing, allowed are {', '.join(KINDS)}")
    try:
        return Stage(**given)
    except UsageError as exc:
        raise UsageError(f"stage {number}: {exc}") from exc


def _shapes(given: Mapping[str, Table | str]) -> dict[str, NetShape]:
    """The sizes of all nets; those of key frames are the inter nets' where nothing is said."""
    found = {kind: _shape(kind, given.get(kind, {}), _SHAPES[kind]) for kind in _SHAPES}
    return found | {"key": _shape("key", given.get("key", {}), found["inter"])}


def _shape(kind: str, given: Table | str, usual: NetShape) -> NetShape:
    """Sizes that differ from the usual ones, or ``large``: four times the arithmetic."""
    if not isinstance(given, str):
        return replace(usual, **given)
    if given != "large" or kind not in _LARGE:
        large = "'large', or " if kind in _LARGE else ""
        raise UsageError(f"[shape]: {kind} = {given!r}: use {large}numbers of channels")
    return _LARGE[kind]


def _init(base: Path, given: Mapping[str, str] | str) -> dict[str, Path]:
    """Nets to go on from; ``released`` are the float nets of the released model."""
    if isinstance(given, str):
        if given != "released":
            raise UsageError(
                f"[run]: init = {given!r}: use 'released', or name files by init.intra and "
                "init.inter"
            )
        return {kind: released(f"training/{kind}.safetensors") for kind in ("intra", "inter")}
    return {kind: base / name for kind, name in given.items()}


def _files(base: Path, folders: list[str] | str, types: Collection[str]) -> list[Path]:
    found: list[Path] = []
    for name in [folders] if isinstance(folders, str) else folders:
        place = base / name
        if not place.exists():
            raise InputError("no such folder", file=place)
        paths = place.iterdir() if place.is_dir() else [place]
        found += sorted(path for path in paths if path.suffix.lower() in types)
    return found
