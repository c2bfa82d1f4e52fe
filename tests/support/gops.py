"""GOPs encoded with the tiny model, and their parts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from vqcodec.codec.gop_body import checksum_update
from vqcodec.codec.gop_structure import LEVELS
from vqcodec.encoding.gop_encoder import GopResult, encode_gop
from vqcodec.encoding.rate_distortion import RateParameters
from vqcodec.fields import Reader
from vqcodec.picture import Picture

# what the tiny nets add is worse than any prediction: few frames are to have direct blocks or tiles
# that are not coded, and no frame a poor latent or intra tiles
LATENT = RateParameters(
    detail_share=1.0, direct_gain=5000.0, paint_gain=5000.0, tile_bits=0.0, intra_tile_levels=0
)
# all tiles of the first levels are intra tiles, whatever they cost
INTRA_EVERYWHERE = replace(
    LATENT,
    intra_tile_levels=3,
    intra_tile_bits=0.0,
    intra_tile_bad=-1.0,
    intra_tile_hope=1e9,
    intra_tile_gain=-1e9,
    intra_gain=-1e12,
)
# the same of tiles with a bad prediction
INTRA_SOMEWHERE = replace(INTRA_EVERYWHERE, intra_tile_bad=0.5)


def encoded(
    codec: Any, pictures: list[Picture], crf: int = 30, rate: RateParameters = LATENT
) -> GopResult:
    return encode_gop(codec, pictures, crf, rate)


def md5(pictures: list[Picture]) -> str:
    return hashlib.md5(b"".join(p.tobytes() for pic in pictures for p in pic)).hexdigest()


def crc(pictures: list[Picture]) -> int:
    value = 0
    for p in pictures:
        value = checksum_update(value, p)
    return value


def parts(body: bytes, frames: int) -> tuple[bytes, list[bytes]]:
    r = Reader(body)
    q = bytes(r.take(LEVELS))
    assert r.varint() == 0
    sizes = [r.varint() for _ in range(frames)]
    return q, [bytes(r.take(n)) for n in sizes]


def body(q: bytes, streams: list[bytes]) -> bytes:
    from vqcodec.fields import Writer

    w = Writer().raw(q).varint(0)
    for s in streams:
        w.varint(len(s))
    return w.raw(b"".join(streams)).getvalue()
