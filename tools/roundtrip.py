#!/usr/bin/env python3
"""Encode and decode files of many kinds with the real weights, and write down what came back
identical.

    tools/roundtrip.py --out docs/roundtrip.md [FILE ...]

The made files are those of tests/support/media.py, the real ones those of tests/data; more can be
named. Each is decoded to a file of its own kind, or to one that holds its tracks where vqcodec
writes no such files. Packets of all tracks but the pictures' are compared by MD5, times of frames
and packets exactly.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.media import FILES, RARE, listing, make_named  # noqa: E402

import vqcodec  # noqa: E402
from vqcodec.media.chroma_siting import LEFT  # noqa: E402
from vqcodec.media.source import VideoSource  # noqa: E402

PROPERTIES = ("size", "sar", "colour", "matrix", "hdr", "bits", "disposition")


def location(path: Path) -> int:
    """Where the chroma samples of 4:2:0 pictures of a file lie; left where it doesn't tell, as
    H.264 and H.265 mean it."""
    with VideoSource(path) as source:
        return source.chroma_location or LEFT


def alike(want: list[Any], got: list[Any]) -> str:
    """Whether tracks are the same; Matroska's times are whole milliseconds."""
    if want == got:
        return "identical"
    rest = [
        [{k: v for k, v in t.items() if k != "times"} for t in tracks] for tracks in (want, got)
    ]
    pairs = [
        (a[0], b[0])
        for t, u in zip(want, got, strict=False)
        for a, b in zip(t["times"], u["times"], strict=False)
    ]
    near = all(abs(a - b) <= Fraction(1, 2000) for a, b in pairs)
    return "identical, times to the millisecond" if rest[0] == rest[1] and near else "differ"


def compare(source: Path, folder: Path) -> list[str]:
    """Cells of the table for a file."""
    suffix = RARE[source.name][1][0] if source.name in RARE else source.suffix
    coded, out = folder / "a.vqv", folder / f"out{suffix}"
    encoded = vqcodec.encode(str(source), str(coded), vqcodec.EncodeOptions(crf=35), overwrite=True)
    decoded = vqcodec.decode(str(coded), str(out), vqcodec.DecodeOptions(), overwrite=True)
    want, got = listing(source), listing(out)

    def same(key: str) -> str:
        return "identical" if got[key] == want[key] else "differ"

    first = want["times"][0], got["times"][0]
    moved = [t - first[0] for t in want["times"]] == [t - first[1] for t in got["times"]]
    times = (
        "identical"
        if want["times"] == got["times"]
        else f"all {float(first[1] - first[0]):+.3f} s"
        if moved
        else "differ"
    )
    different = [p for p in PROPERTIES if got[p] != want[p]] + (
        ["chroma location"] if location(out) != location(source) else []
    )
    frames = (
        str(len(got["times"]))
        if len(got["times"]) == len(want["times"]) == encoded.frames
        else f"{len(want['times'])} -> {len(got['times'])}"
    )
    tracks = f"{len(got['tracks'])} of {len(want['tracks'])}" if want["tracks"] else "none"
    packets = sum(t["count"] for t in want["tracks"])
    md5 = f"{alike(want['tracks'], got['tracks'])} ({packets})" if want["tracks"] else ""
    tags = (
        same("tags")
        if want["tags"] == got["tags"] and want["video_tags"] == got["video_tags"]
        else "differ"
    )
    notes = "; ".join(
        encoded.notes
        + encoded.warnings
        + encoded.lost
        + decoded.notes
        + decoded.warnings
        + decoded.lost
    ).replace(str(folder), "")
    name = source.name if suffix == source.suffix else f"{source.name} to {suffix}"
    return [
        name,
        frames,
        times,
        tracks,
        md5,
        tags,
        same("chapters") if want["chapters"] else "",
        ", ".join(different) + " differ" if different else "identical",
        notes,
    ]


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
        folder = Path(name)
        files: list[Any] = (
            sorted(p for p in (ROOT / "tests" / "data").iterdir() if p.suffix in (".mp4", ".mkv"))
            + args.files
            + list(FILES)
        )
        files += [name for name, (_, outputs) in RARE.items() if outputs]
        for file in files:
            source = make_named(folder, file) if isinstance(file, str) else file
            lines.append(compare(source, folder))
            print(*lines[-1], sep=" | ", flush=True)
    head = [
        "file",
        "frames",
        "times",
        "tracks",
        "their packets (count)",
        "tags",
        "chapters",
        "size, aspect, colour, chroma location, rotation, HDR, depth",
        "notes of the program",
    ]
    table = "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *lines])
    text = (
        f"{len(lines)} files were encoded with the real weights and decoded to files of the same\n"
        "kind, or of the kind named; `tools/roundtrip.py` wrote this page. The first files are\n"
        "those of tests/data, the others are made by `tests/support/media.py`. Identical packets\n"
        "have the same MD5, times, codec parameters, tags and dispositions; of subtitles the\n"
        "durations are compared too. Tags that every muxer writes itself (encoder, duration,\n"
        "brands) are left out. The pictures are coded with loss, and are not compared here.\n"
    )
    args.out.write_text(f"# What comes back\n\n{text}\n{table}\n")


if __name__ == "__main__":
    main()
