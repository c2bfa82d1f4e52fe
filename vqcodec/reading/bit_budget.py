"""Where the bytes of a file went: by level of the pyramid and by syntax element."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..container.reader import ContainerReader
from ..system.columns import columns

_AREAS = ("skip", "merged", "bi", "direct", "weighted")


def packet_bytes(reader: ContainerReader, sound: Iterable[int]) -> tuple[int, int]:
    """Bytes of the packets of GOPs, of those with an index in ``sound``, and of the other tracks'
    packets.
    """
    return sum(reader.packet_size(reader.gops[i].offset) for i in sound), sum(
        reader.packet_size(e.offset) for e in reader.extras
    )


def by_level(pictures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sums over the rows of frames, for each level: frames, bytes, ``bits`` by element.

    And means: q and the shares of the area, which are 0 in frames without prediction and left out in
    levels of such frames alone.
    """
    levels: list[dict[str, Any]] = []
    for level in sorted({p["level"] for p in pictures}):
        rows = [p for p in pictures if p["level"] == level]
        bits = {name: round(sum(p["bits"][name] for p in rows), 1) for name in rows[0]["bits"]}
        line = {
            "level": level,
            "type": "IPB"[min(level, 2)],
            "frames": len(rows),
            "bytes": sum(p["bytes"] for p in rows),
            "bits": bits,
        }
        means = {
            name: round(sum(p.get(name, 0) for p in rows) / len(rows), 4)
            for name in ("q", *_AREAS)
            if any(name in p for p in rows)
        }
        levels.append(line | means)
    return levels


def budget(reader: ContainerReader, gops: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
    """All bytes of a file, from the rows of the frames of its sound GOPs by their index: ``levels``
    (:func:`by_level`) and the bytes of ``gop_headers`` (times, checksums, measured error, sizes of
    frames), of other ``tracks`` with tags, and ``file``: header, index, and what is damaged.
    """
    levels = by_level([p for rows in gops.values() for p in rows])
    frames = sum(line["bytes"] for line in levels)
    packets, tracks = packet_bytes(reader, gops)
    return {
        "levels": levels,
        "gop_headers": packets - frames,
        "tracks": tracks,
        "file": reader.size - packets - tracks,
        "total": reader.size,
    }


def _percent(part: float, whole: float) -> str:
    # a stream may be some bits shorter than its elements: + 0 makes 0 of -0
    return f"{round(100 * part / whole, 1) + 0:.1f} %" if whole else "-"


def as_lines(b: dict[str, Any]) -> list[str]:
    """The dict of :func:`budget` as tables for people."""
    levels, total = b["levels"], b["total"]
    name = {0: "I", 1: "key"}
    elements = list(levels[0]["bits"]) if levels else []
    rows = [["bytes", *elements, "all", "share"]]
    for line in levels:
        label = f"{line['level']} {name.get(line['level'], 'B')}"
        rows.append(
            [
                label,
                *(str(round(line["bits"][e] / 8)) for e in elements),
                str(line["bytes"]),
                _percent(line["bytes"], total),
            ]
        )
    sums = [sum(line["bits"][e] for line in levels) / 8 for e in elements]
    frames = sum(line["bytes"] for line in levels)
    rows.append(["frames", *(str(round(n)) for n in sums), str(frames), _percent(frames, total)])
    rows.append(["share", *(_percent(n, total) for n in sums), "", ""])
    for label, key in (
        ("headers of GOPs", "gop_headers"),
        ("tracks and tags", "tracks"),
        ("header, index", "file"),
        ("file", "total"),
    ):
        rows.append([label, *("" for _ in elements), str(b[key]), _percent(b[key], total)])
    lines = columns(rows, indent="  ")
    if levels:
        rows = [["level", "frames", "bits a frame", "quality", *_AREAS]]
        for line in levels:
            areas = [_percent(line[a], 1) if a in line else "-" for a in _AREAS]
            quality = f"{line['q']:.1f}" if "q" in line else "-"
            rows.append(
                [
                    f"{line['level']} {name.get(line['level'], 'B')}",
                    str(line["frames"]),
                    f"{8 * line['bytes'] / line['frames']:.0f}",
                    quality,
                    *areas,
                ]
            )
        lines += ["", *columns(rows, indent="  ")]
    return lines


def frame_line(p: dict[str, Any]) -> str:
    """A row of a frame for people."""
    return f"frame {p['frame']} {p['type']} level {p['level']}: {sum(p['bits'].values()):.0f} bits ({', '.join(f'{k} {round(v)}' for k, v in p['bits'].items())})"
