"""Which files a batch makes of which: names and folders of trees and lists, mirrored under one
folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from ..errors import InputError, UsageError
from ..system.lookup import is_folder, look_up, same_file
from ..system.suffixes import CODED, VIDEO


@dataclass(frozen=True)
class Job:
    """One file to be made of another."""

    source: str
    output: str  # relative to the folder of the batch
    size: int = 0  # bytes of the source; 0 where it is not there


def parse_list(data: bytes, null: bool = False) -> list[str]:
    """Names in a list of files: one on a line, or each ended by a NUL; empty ones are passed
    over."""
    return [os.fsdecode(name) for name in data.split(b"\0" if null else b"\n") if name]


def _tree(folder: str, suffixes: frozenset[str]) -> Iterator[str]:
    """Files of a folder and those below it, relative to it, in order of name. Links to folders are
    not followed, and hidden names are passed over."""

    def refuse(exc: OSError) -> None:
        raise InputError(f"cannot be read: {exc.strerror}", file=exc.filename) from exc

    for here, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and PurePath(name).suffix.lower() in suffixes:
                yield str((Path(here) / name).relative_to(folder))


def _sources(
    names: Sequence[str], listed: Sequence[str], suffixes: frozenset[str]
) -> Iterator[tuple[str, str]]:
    """Sources, each with its place under the folder of outputs."""
    for name in (*names, *listed):
        if name == "-":
            raise UsageError(
                "a batch reads files, not standard input",
                file="-",
                advice="`list=-` reads their names from there",
            )
    for name in names:
        if is_folder(name):
            yield from ((str(Path(name) / inner), inner) for inner in _tree(name, suffixes))
        else:
            yield name, PurePath(name).name
    for name in listed:
        place = os.path.normpath(name)
        if PurePath(place).is_absolute() or place.startswith(".."):
            place = PurePath(place).name
        if is_folder(name):
            yield from (
                (str(Path(name) / inner), str(PurePath(place) / inner))
                for inner in _tree(name, suffixes)
            )
        else:
            yield name, place


def _decoded(place: str, suffix: str, known: Sequence[str]) -> str:
    """``a.vqv`` becomes ``a.mkv``, and ``a.mp4.vqv`` ``a.mp4``."""
    stem = place.removesuffix(CODED)
    return stem if stem != place and PurePath(stem).suffix.lower() in known else stem + suffix


def plan(
    names: Sequence[str],
    listed: Sequence[str] = (),
    *,
    decode: str | None = None,
    known: Sequence[str] = (),
) -> list[Job]:
    """The jobs for files and folders given by ``names``, and by the lines of a list.

    A file lies under its name in the folder of outputs, the tree of a folder as it lies in that;
    names of a list keep their folders where they are relative. Outputs are .vqv files, or with
    ``decode`` of that suffix unless the name says one of ``known``. Where several files of a folder
    differ in their suffixes only, outputs keep those: ``a.mp4.vqv``. UsageError where two sources
    would become one file all the same; InputError for a folder that cannot be read.
    """
    suffixes = VIDEO if decode is None else frozenset([CODED])
    places: dict[str, str] = {}
    for source, place in _sources(names, listed, suffixes):
        other = places.setdefault(place, source)
        if other != source and not same_file(other, source):
            raise _collision(other, source, place)
    short = {
        place: place.removesuffix(PurePath(place).suffix) + CODED
        if decode is None
        else _decoded(place, decode, known)
        for place in places
    }
    count = Counter(short.values())
    long = {place: place + (CODED if decode is None else decode) for place in places}
    owners: dict[str, str] = {}
    jobs = []
    for place, source in places.items():
        output = short[place] if count[short[place]] == 1 else long[place]
        if (other := owners.setdefault(output, source)) != source:
            raise _collision(other, source, output)
        jobs.append(Job(source, output, _size(source)))
    return jobs


def _collision(first: str, second: str, output: str) -> UsageError:
    return UsageError(
        f"{first} and {second} would both become {output}",
        advice="give them in batches of their own, with another `out`",
    )


def _size(path: str) -> int:
    found = look_up(path)
    return 0 if found is None else found.st_size
