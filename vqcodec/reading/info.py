"""What a .vqv file says of itself, without decoding it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from fractions import Fraction
from typing import TYPE_CHECKING

from .. import values
from ..colour import LOCATIONS, MATRICES, PRIMARIES, RANGES, TRANSFERS, name
from ..container.description import FIELD_ORDERS
from ..container.packets import DRAFT, VERSION, GopPayload, StreamHeader
from ..container.reader import ContainerReader
from ..container.stored_tracks import StoredTracks
from ..errors import DamageError, DamageLog, LimitError
from ..options import Limits
from ..psnr import psnr_yuv
from ..system.surroundings import undisturbed
from .bit_budget import budget, packet_bytes
from .checks import check_model, open_reader
from .file_info import ChapterInfo, FileInfo, GopInfo, TrackInfo, rounded
from .gop_times import frame_step

if TYPE_CHECKING:
    from ..codec.weights import Codec

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


class _Gops:
    """What the GOPs of a file say: those that can be read, and what they come to together."""

    def __init__(self, reader: ContainerReader, codec: Codec | None, damage: DamageLog) -> None:
        self._header, self._codec = reader.header, codec
        self.undamaged: list[GopInfo] = []
        self.sse, self.frames = [0, 0, 0], 0
        self._first: int | None = None  # ticks
        self._end = 0
        before: int | None = None
        for i, entry in enumerate(reader.gops):
            try:
                gop = reader.read_gop(i, before)
                self.undamaged.append(self._info(i, entry.first_frame, entry.offset, gop))
            except DamageError as exc:
                damage.note(exc)
                continue
            self.sse = [total + error for total, error in zip(self.sse, gop.sse, strict=True)]
            self.frames += entry.count
            before = gop.pts[-1]
            self._first = gop.pts[0] if self._first is None else self._first
            self._end = before + (gop.duration or frame_step(reader))

    def _info(self, number: int, first_frame: int, offset: int, gop: GopPayload) -> GopInfo:
        count, header, pictures = len(gop.pts), self._header, None
        quality = rounded(psnr_yuv(gop.sse, header.width, header.height, count))
        if self._codec is not None:
            from ..codec.gop_decoder import body_stats

            pictures = body_stats(self._codec, gop.body, count, header.width, header.height)
        return GopInfo(
            number, first_frame, count, offset, gop.pts[0], len(gop.body), quality, pictures
        )

    @property
    def seconds(self) -> float:
        """From the begin of the first undamaged frame to the end of the last."""
        if self._first is None:
            return 0.0
        return float((self._end - self._first) * self._header.time_base)

    def kbps(self, size: int) -> float | None:
        """Thousands of bits a second that so many bytes come to."""
        return round(size * 8 / 1000 / self.seconds, 3) if self.seconds else None

    def bpp(self, size: int) -> float | None:
        """Bits a pixel that so many bytes come to."""
        pixels = self._header.width * self._header.height * self.frames
        return round(size * 8 / pixels, 6) if pixels else None


@undisturbed()
def describe(
    path: str, bits: bool = False, weights: str | None = None, limits: Limits | None = None
) -> FileInfo:
    """What :func:`info` tells, of a path as text."""
    with ExitStack() as stack:
        reader = open_reader(stack, path, limits)
        if len(reader.gops) * _LINE_MEMORY > reader.limits.memory:
            raise LimitError(
                f"the lines of {len(reader.gops)} GOPs need more than {reader.limits.memory} "
                "bytes of memory",
                file=path,
                option="memory",
            )
        codec = None
        if bits:
            from ..codec.weights import load_codec, read_model_id

            check_model(reader, read_model_id(weights))
            codec = load_codec(weights, "cpu")
        stored = StoredTracks(reader)
        damage = DamageLog([*reader.damaged, *stored.damage])
        gops = _Gops(reader, codec, damage)
        return _told(path, reader, stored, gops, damage, bits)


def _told(
    path: str,
    reader: ContainerReader,
    stored: StoredTracks,
    gops: _Gops,
    damage: DamageLog,
    bits: bool,
) -> FileInfo:
    """All of it put together."""
    header = reader.header
    of_pictures, of_tracks = packet_bytes(reader, [gop.gop for gop in gops.undamaged])
    quality = psnr_yuv(gops.sse, header.width, header.height, gops.frames) if gops.frames else None
    pictures = {gop.gop: gop.pictures or [] for gop in gops.undamaged}
    return FileInfo(
        file=path,
        version=VERSION,
        draft=DRAFT,
        bytes=reader.size,
        picture_bytes=of_pictures,
        track_bytes=of_tracks,
        container_bytes=reader.size - of_pictures - of_tracks,
        width=header.width,
        height=header.height,
        frames=reader.frames,
        seconds=round(gops.seconds, 6),
        time_base=_ratio(header.time_base),
        rate=_ratio(header.rate),
        sar=_ratio(header.sar),
        rotation=header.rotation,
        colour={key: getattr(header, key) for key in _COLOURS},
        colour_names=_colour_names(header),
        bit_depth=header.bit_depth,
        crf=header.crf,
        tags=stored.description.tags,
        chapters=_chapters(stored),
        tracks=_tracks(stored),
        left_out=stored.left_out,
        field_order=FIELD_ORDERS.get(stored.description.field_order),
        model_id=header.model_id.hex(),
        kbps=gops.kbps(reader.size),
        bpp=gops.bpp(reader.size),
        picture_kbps=gops.kbps(of_pictures),
        picture_bpp=gops.bpp(of_pictures),
        psnr=quality and rounded(quality),
        complete=reader.complete,
        ok=reader.complete and not damage,
        damage=damage,
        damaged_gops=len(reader.gops) - len(gops.undamaged),
        gops=gops.undamaged,
        bits=budget(reader, pictures) if bits else None,
    )


def _colour_names(header: StreamHeader) -> dict[str, str]:
    return {key: name(names, getattr(header, key)) for key, names in _COLOURS.items()}


def _chapters(stored: StoredTracks) -> list[ChapterInfo]:
    return [
        ChapterInfo(float(c.start * c.time_base), float(c.end * c.time_base), c.tags)
        for c in stored.description.chapters
    ]


def _tracks(stored: StoredTracks) -> list[TrackInfo]:
    return [
        TrackInfo(number + 1, track.kind, track.codec, _ratio(track.time_base), track.tags)
        for number, track in sorted(stored.tracks.items())
    ]


@values.taking(
    path=values.path, bits=values.flag, weights=values.path, limits=values.instance(Limits)
)
def info(
    path: str | os.PathLike[str],
    *,
    bits: bool = False,
    weights: str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
) -> FileInfo:
    """Header, sizes and measured quality of a file.

    Args:
        path: Of the file.
        bits: Whether to tell where its bytes went, and of each frame; this reads all streams and
            needs the weights.
        weights: A file, if not the weights that come with the program.
        limits: What is refused.

    Returns:
        Its ``to_json()`` is what ``vqcodec info --json`` prints. Damaged GOPs are listed under
        ``damage``.

    Raises:
        UsageError: An argument makes no sense.
        InputError: No .vqv file, or it cannot be read.
        DamageError: The header is lost.
        LimitError: Something is larger than ``limits`` allow.
        WeightsError: With ``bits``: the weights are missing, damaged, or of another model.
    """
    return describe(os.fspath(path), bits, None if weights is None else os.fspath(weights), limits)
