"""Payloads as zstd frames where that makes them shorter; a frame says how long its content is.

What comes from a file is hostile: the length is held against a limit before memory is taken, and a
frame whose content is another one than it says is damage.
"""

from __future__ import annotations

from ..errors import DamageError, LimitError

LEVEL = 19  # fonts are 9 % smaller than at level 12, at 2 MB a second
_HEADER_MAX = 18


def compress(content: bytes, level: int = LEVEL) -> bytes | None:
    """One frame with length and checksum of its content; None where it isn't shorter."""
    if not content:
        return None
    import zstandard  # only here and below: it takes a while, and many commands need none

    frame = zstandard.ZstdCompressor(level=level, write_checksum=True).compress(content)
    return frame if len(frame) < len(content) else None


def decompress(frame: bytes | memoryview, limit: int) -> bytes:
    """The content of a frame; LimitError where it says that this has more than ``limit`` bytes,
    DamageError where it is no undamaged frame of the kind that :func:`compress` makes."""
    import zstandard

    try:
        head = zstandard.get_frame_parameters(frame[:_HEADER_MAX])
        # a frame of unknown length says 2^64 - 1; a length of 0 would not be looked at further
        if not 0 < head.content_size < (1 << 64) - 1 or not head.has_checksum:
            raise DamageError("a zstd frame without length or checksum of its content")
        if head.content_size > limit:
            size = f"{head.content_size} bytes when decompressed"
            raise LimitError(f"{size} are over the limit of {limit}")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as exc:
        raise DamageError(f"no whole zstd frame ({exc})") from exc
