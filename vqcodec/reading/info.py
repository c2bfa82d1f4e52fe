"""What a .vqv file says of itself, without decoding it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from fractions import Fraction
from typing import Any

from .. import values
from ..colour import LOCATIONS, MATRICES, PRIMARIES, RANGES, TRANSFERS, name
from ..container.description import FIELD_ORDERS
from ..container.packets import VERSION
from ..container.stored_tracks import StoredTracks
from ..errors import DamageError, DamageLog, LimitError
from ..metrics import psnr_yuv
from ..options import Limits
from ..system.surroundings import undisturbed
from .bit_budget import budget, packet_bytes
from .opening import check_model, open_reader
from .sequence import frame_step

_COLOURS = {
    "primaries": PRIMARIES,
    "transfer": TRANSFERS,
    "matrix": MATRICES,
    "range": RANGES,
    "chroma_location": LOCATIONS,
}
_LINE_MEMORY = 1024  # bytes that what is said of a GOP takes, at most


def _ratio(value: Fraction | None) -> str | None:
    return None if value is None else f"{value.numerator}/{value.denominator}"


@undisturbed()
def describe(
    path: str, bits: bool = False, weights: str | None = None, limits: Limits | None = None
) -> dict[str, Any]:
    """Header, sizes and measured quality of a file as a dict fit for JSON; with ``bits`` where its
    bytes went (:mod:`vqcodec.reading.bit_budget`), and of each frame.

    Raises InputError, DamageError and LimitError as opening does; damaged GOPs are listed under
    ``damage``. Only ``bits`` needs the weights.
    """
    with ExitStack() as stack:
        reader = open_reader(stack, path, limits)
        h = reader.header
        if len(reader.gops) * _LINE_MEMORY > reader.limits.memory:
            raise LimitError(
                f"the lines of {len(reader.gops)} GOPs need more than {reader.limits.memory} "
                "bytes of memory",
                file=path,
                option="memory",
            )
        codec: Any = None
        if bits:
            from ..codec.weights import load_codec, read_model_id

            check_model(reader, read_model_id(weights))
            codec = load_codec(weights, "cpu")
        stored = StoredTracks(reader)
        damage = DamageLog([*reader.damaged, *stored.damage])
        gops: list[dict[str, Any]] = []
        pictures: dict[int, list[dict[str, Any]]] = {}
        sse, known, first, last, end = [0, 0, 0], 0, None, None, 0
        for i, entry in enumerate(reader.gops):
            try:
                gop = reader.read_gop(i, last)
                line: dict[str, Any] = {
                    "gop": i,
                    "first_frame": entry.first_frame,
                    "frames": entry.count,
                    "offset": entry.offset,
                    "first_pts": gop.pts[0],
                    "body_bytes": len(gop.body),
                }
                names = ("psnr", "psnr_y", "psnr_u", "psnr_v")
                line |= {
                    k: round(v, 4)
                    for k, v in zip(
                        names, psnr_yuv(gop.sse, h.width, h.height, entry.count), strict=True
                    )
                }
                if codec is not None:
                    from ..codec.gop_decoder import body_stats

                    pictures[i] = line["pictures"] = body_stats(
                        codec, gop.body, entry.count, h.width, h.height
                    )
                gops.append(line)
            except DamageError as exc:
                damage.note(exc)
                continue
            sse = [a + b for a, b in zip(sse, gop.sse, strict=True)]
            known += entry.count
            first, last = gop.pts[0] if first is None else first, gop.pts[-1]
            end = gop.pts[-1] + (gop.duration or frame_step(reader))
        seconds = float((end - first) * h.time_base) if first is not None else 0.0
        quality = psnr_yuv(sse, h.width, h.height, known) if known else None
        of_pictures, of_tracks = packet_bytes(reader, [line["gop"] for line in gops])

        def kbps(size: int) -> float | None:
            return round(size * 8 / 1000 / seconds, 3) if seconds else None

        def bpp(size: int) -> float | None:
            return round(size * 8 / (h.width * h.height * known), 6) if known else None

        return {
            "file": path,
            "version": VERSION,
            "bytes": reader.size,
            "picture_bytes": of_pictures,
            "track_bytes": of_tracks,
            "container_bytes": reader.size - of_pictures - of_tracks,
            "width": h.width,
            "height": h.height,
            "frames": reader.frames,
            "seconds": round(seconds, 6),
            "time_base": _ratio(h.time_base),
            "rate": _ratio(h.rate),
            "sar": _ratio(h.sar),
            "rotation": h.rotation,
            "colour": {
                "primaries": h.primaries,
                "transfer": h.transfer,
                "matrix": h.matrix,
                "range": h.range,
                "chroma_location": h.chroma_location,
            },
            "colour_names": {key: name(_COLOURS[key], getattr(h, key)) for key in _COLOURS},
            "bit_depth": h.bit_depth,
            "crf": h.crf,
            "tags": stored.description.tags,
            "chapters": [
                {
                    "start": float(c.start * c.time_base),
                    "end": float(c.end * c.time_base),
                    "tags": c.tags,
                }
                for c in stored.description.chapters
            ],
            "tracks": [
                {
                    "number": t.number + 1,
                    "kind": t.kind,
                    "codec": t.codec,
                    "time_base": _ratio(t.time_base),
                    "tags": t.tags,
                }
                for t in sorted(stored.tracks.values(), key=lambda t: t.number)
            ],
            "left_out": stored.left_out,
            "field_order": FIELD_ORDERS.get(stored.description.field_order),
            "model_id": h.model_id.hex(),
            "kbps": kbps(reader.size),
            "bpp": bpp(reader.size),
            "picture_kbps": kbps(of_pictures),
            "picture_bpp": bpp(of_pictures),
            "psnr": dict(zip(("yuv", "y", "u", "v"), (round(q, 4) for q in quality), strict=True))
            if quality
            else None,
            "complete": reader.complete,
            "ok": reader.complete and not damage,
            "damage": damage,
            "damaged_gops": len(reader.gops) - len(gops),
            "gops": gops,
        } | ({"bits": budget(reader, pictures)} if bits else {})


@values.taking(
    path=values.path, bits=values.flag, weights=values.path, limits=values.instance(Limits)
)
def info(
    path: str | os.PathLike[str],
    *,
    bits: bool = False,
    weights: str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
) -> dict[str, Any]:
    """What :func:`describe` tells of a file, which is what ``vqcodec info --json`` prints."""
    return describe(os.fspath(path), bits, None if weights is None else os.fspath(weights), limits)
