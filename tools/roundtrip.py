#!/usr/bin/env python3
"""Encode and decode files of many kinds with the real weights, and write down what came back
identical.

    tools/roundtrip.py --out docs/roundtrip.md [FILE ...]

The made files are those of tests/support/media.py and field_files.py, the real ones those of
tests/data; more can be named. Each is decoded to a file of its own kind, or to one that holds its
tracks where vqcodec writes no such files. Packets of all tracks but the pictures' are compared by
MD5, times of frames and packets exactly. Where chroma samples lie, the field order, captions and
how long the last frame is shown are compared as vqcodec reads them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.field_files import FIELD, Field  # noqa: E402
from support.media import FILES, RARE, listing, make  # noqa: E402

import vqcodec  # noqa: E402
from vqcodec.container.description import FIELD_ORDERS  # noqa: E402
from vqcodec.media.chroma_siting import LEFT  # noqa: E402
from vqcodec.media.source import VideoSource  # noqa: E402

PROPERTIES = ("size", "sar", "colour", "matrix", "hdr", "bits", "disposition")


def inside(path: Path) -> dict[str, Any]:
    """What lies in the pictures of a file, as the program reads it: where the chroma samples are
    (left where it doesn't tell, as H.264 and H.265 mean it), field order, captions, and how long
    the last one is shown, None where that isn't told."""
    with VideoSource(path) as source:
        last = [pts for pts, _ in source][-1]
        behind = source.following
        return {
            "chroma location": source.chroma_location or LEFT,
            "field order": FIELD_ORDERS.get(source.description.field_order),
            "captions": [text for _, text in source.captions],
            "last": behind and (behind + source.shift - last) * source.time_base,
        }


def steady(times: list[Any]) -> bool:
    """Whether each is after the one before, by less than a minute."""
    return all(a < b < a + 60 for a, b in pairwise(times))


def times_of(want: list[Any], got: list[Any], last: tuple[Any, Any]) -> str:
    """What became of the times of frames, and of how long the last one is shown, to the
    millisecond."""
    apart = {b - a for a, b in pairwise(got)}
    if want == got:
        told = "identical"
    elif [t - want[0] for t in want] == [t - got[0] for t in got]:
        told = f"all {float(got[0] - want[0]):+.3f} s"
    elif len(want) == len(got) and len(apart) == 1 and len({b - a for a, b in pairwise(want)}) > 1:
        told = f"made even, each {float(*apart):.3f} s"
    else:
        told = "differ"
    shown = [round(float(length or 0), 3) for length in last]
    if last[0] is not None and abs(shown[0] - shown[1]) > 0.0015:
        told += f"; the last frame shown for {shown[0]} s, then {shown[1] or 'unknown'}"
    elif shown[0] >= 1:
        told += f"; the last frame shown for {shown[0]} s"
    return told


def alike(want: list[Any], got: list[Any]) -> str:
    """Whether tracks are the same; Matroska's times are whole milliseconds."""
    if want == got:
        return "identical"
    rest = [
        [{k: v for k, v in t.items() if k != "times"} for t in tracks] for tracks in (want, got)
    ]
    if rest[0] != rest[1]:
        return "differ"
    before, after = ([[t for t, _ in track["times"]] for track in side] for side in (want, got))
    if not all(map(steady, before)) and all(map(steady, after)):
        return "identical, times put right"
    near = all(
        abs(a - b) <= Fraction(1, 2000)
        for t, u in zip(before, after, strict=True)
        for a, b in zip(t, u, strict=True)
    )
    return "identical, times to the millisecond" if near else "differ"


def cut(listed: dict[str, Any], options: dict[str, str]) -> dict[str, Any]:
    """What is to come of a stretch of a file: frames and packets that begin in it."""
    if not options:
        return listed
    start = Fraction(options.get("start", 0))
    stop = start + Fraction(options["duration"])

    def chosen(time: Fraction) -> bool:
        return (not start or time >= start) and time < stop

    tracks = []
    for track in listed["tracks"]:
        kept = [i for i, (time, _) in enumerate(track["times"]) if chosen(time)]
        times = [(track["times"][i][0] - start, track["times"][i][1]) for i in kept]
        each = [track["each"][i] for i in kept]
        tracks.append(track | {"times": times, "each": each, "count": len(kept)})
    times = [time - start for time in listed["times"] if chosen(time)]
    return listed | {"times": times, "tracks": tracks}


def compare(source: Path, folder: Path, suffix: str, options: dict[str, str]) -> list[str]:
    """Cells of the table for a file that is decoded to one with this suffix; with options of the
    encoder."""
    coded, out = folder / "a.vqv", folder / f"out{suffix}"
    chosen: Any = {"crf": 35} | options
    encoded = vqcodec.encode(
        str(source), str(coded), vqcodec.EncodeOptions(**chosen), overwrite=True
    )
    decoded = vqcodec.decode(str(coded), str(out), vqcodec.DecodeOptions(), overwrite=True)
    want, got = cut(listing(source), options), listing(out)
    for track in (want["tracks"] + got["tracks"]) if options else []:
        del track["md5"]  # of all packets one after the other
    before, after = inside(source), inside(out)

    def same(*keys: str) -> str:
        return "identical" if all(got[key] == want[key] for key in keys) else "differ"

    # a cut frame is shown for less, and .ts does not tell how long
    last = (None if options or suffix == ".ts" else before["last"]), after["last"]
    different = [p for p in PROPERTIES if got[p] != want[p]] + [
        p for p in ("chroma location", "field order", "captions") if before[p] != after[p]
    ]
    seen = [before["field order"]] * bool(before["field order"])
    seen += [f"{len(before['captions'])} captions"] * bool(before["captions"])
    frames = (
        str(len(got["times"]))
        if len(got["times"]) == len(want["times"]) == encoded.frames
        else f"{len(want['times'])} -> {len(got['times'])}"
    )
    packets = sum(t["count"] for t in want["tracks"])
    notes = "; ".join(
        encoded.notes
        + encoded.warnings
        + encoded.lost
        + decoded.notes
        + decoded.warnings
        + decoded.lost
    ).replace(str(folder), "")
    kind = f" to {suffix}" * (suffix != source.suffix)
    stretch = "".join(f", {name} {value} s" for name, value in options.items())
    return [
        source.name + kind + stretch,
        frames,
        times_of(want["times"], got["times"], last),
        f"{len(got['tracks'])} of {len(want['tracks'])}" if want["tracks"] else "none",
        f"{alike(want['tracks'], got['tracks'])} ({packets})" if want["tracks"] else "",
        same("tags", "video_tags"),
        same("chapters") if want["chapters"] else "",
        (", ".join(different) + " differ" if different else "identical")
        + (f" ({', '.join(seen)})" if seen else ""),
        notes,
    ]


def rows(folder: Path, more: list[Path]) -> Iterator[list[str]]:
    """Cells of all files, which are made in the folder."""
    found = sorted(p for p in (ROOT / "tests" / "data").iterdir() if p.suffix in (".mp4", ".mkv"))
    for path in found + more:
        yield compare(path, folder, path.suffix, {})
    made = [Field(name, partial(make, **how), Path(name).suffix) for name, how in FILES.items()]
    made += [Field(n, partial(make, **how), out[0]) for n, (how, out) in RARE.items() if out]
    for number, (name, how, suffix, options) in enumerate([*made, *FIELD]):
        place = folder / str(number)
        place.mkdir()
        how(place / name)
        yield compare(place / name, place, suffix, options)


def main() -> None:
    """Take each file through the codec, and write the page of what came back."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "roundtrip.md")
    parser.add_argument("files", nargs="*", type=Path)
    args = parser.parse_args()
    lines: list[list[str]] = []
    with tempfile.TemporaryDirectory() as name:
        for line in rows(Path(name), args.files):
            lines.append(line)
            print(*line, sep=" | ", flush=True)
    head = [
        "file",
        "frames",
        "times",
        "tracks",
        "their packets (count)",
        "tags",
        "chapters",
        "size, aspect, colour, chroma location, rotation, HDR, depth, field order, captions",
        "notes of the program",
    ]
    table = "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *lines])
    text = (
        f"{len(lines)} files were encoded with the real weights and decoded to files of the same\n"
        "kind, or of the kind named; `tools/roundtrip.py` wrote this page. The first files are\n"
        "those of tests/data, the others are made by `tests/support/media.py`, the last\n"
        f"{len(FIELD)} by `tests/support/field_files.py`. Identical packets have the same MD5,\n"
        "times, codec parameters, tags and dispositions; of subtitles the durations are compared\n"
        "too. Of a stretch of a file, the frames and packets are compared that begin in it. The\n"
        "times of frames include how long the last one is shown, where the source tells it (.ts\n"
        "does not). Where times of a source repeat, fall or jump by minutes, those that came back\n"
        "do not. Tags that every muxer writes itself (encoder, duration, brands) are left\n"
        "out. The pictures are coded with loss, and are not compared here.\n"
    )
    args.out.write_text(f"# What comes back\n\n{text}\n{table}\n")


if __name__ == "__main__":
    main()
