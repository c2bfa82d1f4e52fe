"""What is known of a .vqv file without decoding it, as it leaves the program."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..psnr import Psnr
from .bit_budget import Budget

if TYPE_CHECKING:
    from ..codec.bit_statistics import FrameStatistics

Json = dict[str, Any]


def rounded(quality: Psnr) -> Psnr:
    """PSNR in steps of 0.0001 dB."""
    return Psnr(*(round(value, 4) for value in quality))


@dataclass(frozen=True)
class GopInfo:
    """A GOP of a file."""

    gop: int
    """Its number."""
    first_frame: int
    """Number of its first frame in the file."""
    frames: int
    """How many it has."""
    offset: int
    """Byte of the file where its packet begins."""
    first_pts: int
    """Time of its first frame, in ticks."""
    body_bytes: int
    """Of its pictures."""
    psnr: Psnr
    """As the encoder measured it."""
    pictures: list[FrameStatistics] | None = None
    """A row for each frame, where bits were asked for."""

    def to_json(self) -> Json:
        """The fields, PSNR of the planes as ``psnr_y``, ``psnr_u``, ``psnr_v``."""
        row: Json = {
            "gop": self.gop,
            "first_frame": self.first_frame,
            "frames": self.frames,
            "offset": self.offset,
            "first_pts": self.first_pts,
            "body_bytes": self.body_bytes,
            "psnr": self.psnr.yuv,
            "psnr_y": self.psnr.y,
            "psnr_u": self.psnr.u,
            "psnr_v": self.psnr.v,
        }
        return row if self.pictures is None else row | {"pictures": self.pictures}


@dataclass(frozen=True)
class ChapterInfo:
    """A chapter: begin and end in seconds, and its tags."""

    start: float
    end: float
    tags: dict[str, str]


@dataclass(frozen=True)
class TrackInfo:
    """A track beside the pictures."""

    number: int
    """From 1 on."""
    kind: str
    """audio, subtitle, data, attachment or video."""
    codec: str
    """FFmpeg's name."""
    time_base: str | None
    """Seconds of a tick, as 1/48000."""
    tags: dict[str, str]


@dataclass(frozen=True)
class FileInfo:
    """What :func:`vqcodec.info` tells of a file."""

    file: str
    """Its path."""
    version: int
    """Of the format."""
    draft: int
    """Which draft of that; 0 once it is released."""
    bytes: int
    """Of the file."""
    picture_bytes: int
    """Of the packets of its undamaged GOPs."""
    track_bytes: int
    """Of other tracks and tags."""
    container_bytes: int
    """Of header and index, and of what is damaged."""
    width: int
    """Luma samples in a row."""
    height: int
    """Rows of luma samples."""
    frames: int
    """Of the file, lost ones included as far as they are known of."""
    seconds: float
    """From the begin of the first frame to the end of the last."""
    time_base: str | None
    """Seconds of a tick, as 1/1000."""
    rate: str | None
    """Nominal frames a second, as 30000/1001; None unknown."""
    sar: str | None
    """Width of a sample by its height; None unknown."""
    rotation: int
    """Degrees clockwise to apply for display: 0, 90, 180 or 270."""
    colour: dict[str, int]
    """Numbers of ITU-T H.273: primaries, transfer, matrix, range, chroma_location."""
    colour_names: dict[str, str]
    """FFmpeg's names of those."""
    bit_depth: int
    """Of the source."""
    crf: int
    """That it was encoded with."""
    tags: dict[str, str]
    """Of the file."""
    chapters: list[ChapterInfo]
    """In the order of the file."""
    tracks: list[TrackInfo]
    """In the order of their numbers."""
    left_out: list[str]
    """What the source had and the file has not, as sentences."""
    field_order: str | None
    """Of an interlaced source: tt, bb, tb or bt."""
    model_id: str
    """16 hexadecimal digits."""
    kbps: float | None
    """1000 bits a second, of the file; None for no time."""
    bpp: float | None
    """Bits of the file for each pixel of all frames."""
    picture_kbps: float | None
    """1000 bits a second, of the pictures alone."""
    picture_bpp: float | None
    """Bits for each pixel, of the pictures alone."""
    psnr: Psnr | None
    """In dB, of all undamaged GOPs, as the encoder measured it; None where there are none."""
    complete: bool
    """Whether the file ends as it should."""
    ok: bool
    """Whether nothing is damaged, by the checksums."""
    damage: list[str]
    """A sentence for each thing found wrong."""
    damaged_gops: int
    """GOPs that cannot be read."""
    gops: list[GopInfo]
    """Those that can be read."""
    bits: Budget | None = None
    """Where the bytes went, if that was asked for."""

    def to_json(self) -> Json:
        """What ``vqcodec info --json`` prints."""
        own = vars(self) | {
            "chapters": [asdict(chapter) for chapter in self.chapters],
            "tracks": [asdict(track) for track in self.tracks],
            "psnr": self.psnr and self.psnr._asdict(),
            "gops": [gop.to_json() for gop in self.gops],
        }
        del own["bits"]
        return own if self.bits is None else own | {"bits": self.bits.to_json()}
