"""The heads of the frames of a GOP, read without nets, samples and what lies behind them."""

from __future__ import annotations

from collections.abc import Container, Iterator

from ..errors import DamageError
from .frame_head import FrameHead, HeadReader, State
from .gop_body import GopBody
from .gop_structure import ancestors


def read_heads(
    reader: HeadReader, body: GopBody, wanted: Container[int] | None = None
) -> Iterator[tuple[FrameHead, tuple[int, ...]]]:
    """Heads in order of display, with the numbers of the references that their place has.

    wanted: frames of the GOP to give, all if None; none but these and their ancestors are read.
    Raises DamageError where a head cannot be right. What lies behind heads is not looked at, so
    nothing is said of it.
    """
    try:
        yield from _read(reader, body, wanted)
    except (IndexError, OverflowError) as exc:
        raise DamageError(exc, part="GOP body") from exc


def _read(
    reader: HeadReader, body: GopBody, wanted: Container[int] | None
) -> Iterator[tuple[FrameHead, tuple[int, ...]]]:
    numbers = (slot.frame for slots in body.order for slot in slots)
    chosen = {n for n in numbers if wanted is None or n in wanted}
    needed, referred = ancestors(body.order, chosen), _referred(body)
    states: dict[int, State] = {}
    keys: list[int] = []
    at = 0
    for slots in body.order:
        heads: dict[int, tuple[FrameHead, tuple[int, ...]]] = {}
        for slot, stream in zip(slots, body.streams[at : at + len(slots)], strict=True):
            if slot.frame not in needed:
                continue
            references = [states[r] for r in slot.refs]
            quality = body.quality(slot.level)
            head = FrameHead(reader, stream, slot.frame, slot.level, quality, references)
            if slot.frame in referred:
                states[slot.frame] = head.state(references)
            if slot.frame in chosen:
                heads[slot.frame] = head, slot.refs
        yield from (heads[number] for number in sorted(heads))
        at += len(slots)
        keys = [*keys[-1:], max(slot.frame for slot in slots)]
        states = {key: states[key] for key in keys if key in states}


def _referred(body: GopBody) -> set[int]:
    """Numbers of the frames that others refer to."""
    return {r for slots in body.order for slot in slots for r in slot.refs}
