"""What is known of a file, for people to read."""

from __future__ import annotations

from ..container.packets import version_name
from ..reading.bit_budget import as_lines, frame_line
from ..reading.file_info import FileInfo, GopInfo
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


def as_text(info: FileInfo, frames: bool = False, gops: bool = False) -> str:
    """What is known of a file, for people.

    Args:
        info: Of the file.
        frames: Whether to have a line for each frame whose bits are known.
        gops: Whether to have a line for each GOP, not for the first and last of many alone.
    """
    lines = [
        *_of_video(info),
        *_of_tracks(info),
        *_of_sizes(info),
        *_of_gops(info.gops, frames, gops or frames),
    ]
    if info.bits is not None:
        lines += ["", *as_lines(info.bits)]
    lines += [f"  damaged: {text}" for text in info.damage]
    return "\n".join(map(printable, lines))


def _of_video(info: FileInfo) -> list[str]:
    broken = info.damaged_gops
    in_all = counted(len(info.gops) + broken, "GOP") + (f", {broken} damaged" if broken else "")
    return [
        f"{info.file}: {info.bytes} bytes, {info.width}x{info.height},"
        f" {counted(info.frames, 'frame')} in {in_all}, {info.seconds:.3f} s",
        f"  time base {info.time_base}, rate {info.rate or 'unknown'}, aspect ratio"
        f" {info.sar or 'unknown'}, rotation {info.rotation}, {info.bit_depth} bits",
        "  colour: " + ", ".join(f"{k} {v}" for k, v in info.colour_names.items()),
        f"  crf {info.crf}, model {info.model_id},"
        f" format version {version_name(info.version, info.draft)}",
    ]


def _of_tracks(info: FileInfo) -> list[str]:
    """Tags, chapters, other tracks, and what the source had besides."""
    lines = [f"  {key}: {value}" for key, value in info.tags.items()]
    lines += [
        f"  chapter {c.start:.3f} to {c.end:.3f} s: {c.tags.get('title', '')}"
        for c in info.chapters
    ]
    for track in info.tracks:
        told = (track.tags.get(key) for key in ("language", "title", "filename"))
        names = filter(None, (track.kind, track.codec, *told))
        lines.append(f"  track {track.number} ({', '.join(names)})")
    lines += [f"  left out of the source: {text}" for text in info.left_out]
    if info.field_order:
        lines.append(f"  interlaced, {info.field_order}")
    return lines


def _of_sizes(info: FileInfo) -> list[str]:
    lines = []
    if info.psnr is not None:
        psnr, rate = info.psnr, info.picture_kbps
        kbps = f"{rate:.2f} kbps, " if rate and info.frames > 1 else ""
        lines.append(
            f"  pictures: {info.picture_bytes} bytes, {kbps}{info.picture_bpp:.5f} bpp; PSNR"
            f" {psnr.yuv:.3f} dB (Y {psnr.y:.3f}, U {psnr.u:.3f}, V {psnr.v:.3f})"
        )
    of_tracks = f"other tracks and tags: {info.track_bytes} bytes; " if info.track_bytes else ""
    lines.append(f"  {of_tracks}header and index: {info.container_bytes} bytes")
    return lines


def _of_gops(gops: list[GopInfo], frames: bool, all_of_them: bool) -> list[str]:
    """The curve of their quality, then a line for each, or for the first ones and the last."""
    lines = []
    if len(gops) > 1:
        quality = [gop.psnr.yuv for gop in gops]
        lines.append(
            f"  {curve(quality)} PSNR of the GOPs, {min(quality):.2f} to {max(quality):.2f} dB"
        )
    short = not all_of_them and len(gops) > _SHOWN
    shown = [*gops[: _SHOWN - 2], gops[-1]] if short else gops
    for gop in shown:
        if short and gop is shown[-1]:
            lines.append(f"  ... {len(gops) - _SHOWN + 1} more (--gops shows them)")
        last = gop.first_frame + gop.frames - 1
        where = f"frames {gop.first_frame} to {last}" if gop.frames > 1 else f"frame {last}"
        lines.append(
            f"  GOP {gop.gop}: {where}, {gop.body_bytes} bytes, PSNR {gop.psnr.yuv:.2f} dB"
        )
        if frames:
            lines += [f"    {frame_line(picture)}" for picture in gop.pictures or ()]
    return lines
