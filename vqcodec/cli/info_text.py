"""What is known of a file, for people to read."""

from __future__ import annotations

from typing import Any

from ..reading.bit_budget import as_lines, frame_line
from ..system.progress import counted
from ..system.text import printable

_BARS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
_SHOWN = 10  # lines of GOPs, unless more are asked for


def curve(values: list[float], width: int = 80) -> str:
    """A line of bars for numbers in their order, of at most ``width`` of them, each the mean of as
    many as fall upon it."""
    parts = [
        values[i * len(values) // n : (i + 1) * len(values) // n]
        for n in (min(width, len(values)),)
        for i in range(n)
    ]
    means = [sum(p) / len(p) for p in parts]
    low, high = min(means), max(means)
    return "".join(
        _BARS[round((m - low) / (high - low) * (len(_BARS) - 1)) if high > low else -1]
        for m in means
    )


def as_text(d: dict[str, Any], frames: bool = False, gops: bool = False) -> str:
    """The dict of :func:`describe` for people: with ``gops`` a line for each, else for the first
    and last of many; with ``frames`` one for each whose bits are known."""
    broken = d["damaged_gops"]
    in_all = counted(len(d["gops"]) + broken, "GOP") + (f", {broken} damaged" if broken else "")
    lines = [
        f"{d['file']}: {d['bytes']} bytes, {d['width']}x{d['height']},"
        f" {counted(d['frames'], 'frame')} in {in_all}, {d['seconds']:.3f} s",
        f"  time base {d['time_base']}, rate {d['rate'] or 'unknown'}, aspect ratio"
        f" {d['sar'] or 'unknown'}, rotation {d['rotation']}, {d['bit_depth']} bits",
        "  colour: " + ", ".join(f"{k} {v}" for k, v in d["colour_names"].items()),
        f"  crf {d['crf']}, model {d['model_id']}, format version {d['version']}",
    ]
    lines += [f"  {key}: {value}" for key, value in d["tags"].items()]
    lines += [
        f"  chapter {c['start']:.3f} to {c['end']:.3f} s: {c['tags'].get('title', '')}"
        for c in d["chapters"]
    ]
    for t in d["tracks"]:
        names = filter(
            None,
            (
                t["kind"],
                t["codec"],
                t["tags"].get("language"),
                t["tags"].get("title"),
                t["tags"].get("filename"),
            ),
        )
        lines.append(f"  track {t['number']} ({', '.join(names)})")
    lines += [f"  left out of the source: {text}" for text in d["left_out"]]
    if d["field_order"]:
        lines.append(f"  interlaced, {d['field_order']}")
    if d["psnr"]:
        q = d["psnr"]
        kbps = f"{d['picture_kbps']:.2f} kbps, " if d["picture_kbps"] and d["frames"] > 1 else ""
        lines.append(
            f"  pictures: {d['picture_bytes']} bytes, {kbps}{d['picture_bpp']:.5f} bpp; PSNR"
            f" {q['yuv']:.3f} dB (Y {q['y']:.3f}, U {q['u']:.3f}, V {q['v']:.3f})"
        )
    of_tracks = f"other tracks and tags: {d['track_bytes']} bytes; " if d["track_bytes"] else ""
    lines.append(f"  {of_tracks}header and index: {d['container_bytes']} bytes")
    if len(d["gops"]) > 1:
        quality = [g["psnr"] for g in d["gops"]]
        lines.append(
            f"  {curve(quality)} PSNR of the GOPs, {min(quality):.2f} to {max(quality):.2f} dB"
        )
    for i, g in enumerate(d["gops"]):
        if (
            not (gops or frames)
            and len(d["gops"]) > _SHOWN
            and _SHOWN - 2 <= i < len(d["gops"]) - 1
        ):
            if i == _SHOWN - 2:
                lines.append(f"  ... {len(d['gops']) - _SHOWN + 1} more (--gops shows them)")
            continue
        last = g["first_frame"] + g["frames"] - 1
        where = f"frames {g['first_frame']} to {last}" if g["frames"] > 1 else f"frame {last}"
        lines.append(f"  GOP {g['gop']}: {where}, {g['body_bytes']} bytes, PSNR {g['psnr']:.2f} dB")
        if frames:
            lines += [f"    {frame_line(p)}" for p in g.get("pictures", ())]
    if "bits" in d:
        lines += ["", *as_lines(d["bits"])]
    lines += [f"  damaged: {text}" for text in d["damage"]]
    return "\n".join(map(printable, lines))
