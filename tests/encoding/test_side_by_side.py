"""Frames are coded beside each other as far as their references allow, and nothing but time depends
on it: bytes, errors, the end by ctrl-C, what is kept in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.clips import grainy, moving

from vqcodec.codec.frame_decoder import Coded
from vqcodec.codec.gop_decoder import decode_gop
from vqcodec.encoding.frame_task import CodedFrame, FrameTask
from vqcodec.encoding.gop_encoder import GopEncoder, GopResult
from vqcodec.picture import Picture
from vqcodec.system.threads import set_threads

PATIENCE = 60.0
FRAMES = 49  # the I frame and three mini-GOPs


@pytest.fixture
def threads(one_thread: None) -> Iterator[Callable[[int], None]]:
    """Sets the number of threads until the end of the test."""
    yield set_threads
    set_threads(1)


@pytest.fixture(scope="module")
def clip() -> list[Picture]:
    """A moving clip with noise, a flash, and pictures that repeat the one before."""
    pictures = grainy(moving(64, 64, FRAMES), 3)
    white = Picture(*(plane // 4 + 190 for plane in pictures[21]))
    return [*pictures[:21], white, *pictures[22:30], pictures[29], pictures[29], *pictures[32:]]


def parts(clip: list[Picture]) -> list[list[Picture]]:
    """As an encoder takes it."""
    return [clip[:1], *(clip[i : i + 16] for i in range(1, len(clip), 16))]


def whole(encoder: GopEncoder, clip: list[Picture]) -> GopResult:
    for pictures in parts(clip):
        encoder.add(pictures)
    return encoder.finish()


def watch(encoder: GopEncoder, see: Callable[[FrameTask], object]) -> None:
    """Have each frame seen in the thread that codes it, before it is coded."""
    encode = encoder.coder.encode

    def watching(task: FrameTask) -> CodedFrame:
        see(task)
        return encode(task)

    encoder.coder.encode = watching  # type: ignore[method-assign]


def workers() -> set[threading.Thread]:
    """Threads that code frames."""
    return {one for one in threading.enumerate() if one.name.startswith("schedule")}


def test_nothing_depends_on_the_number_of_threads(
    tiny_codec: Any, clip: list[Picture], threads: Callable[[int], None]
) -> None:
    results, told = [], list[int]()
    for n in (1, 2, 5):
        threads(n)
        encoder = GopEncoder(tiny_codec, 64, 64, 30)
        told.clear()
        encoder.tell = told.append
        results.append(whole(encoder, clip))
        assert told == list(range(1, FRAMES + 1))
    assert results[0] == results[1] == results[2]
    assert len(list(decode_gop(tiny_codec, results[0].body, FRAMES, 64, 64))) == FRAMES


def test_the_next_key_frame_is_coded_beside_b_frames(
    tiny_codec: Any, clip: list[Picture], threads: Callable[[int], None]
) -> None:
    """The first B frame of a mini-GOP waits for the key frame of the next one to begin."""
    threads(2)
    encoder, began, missed = GopEncoder(tiny_codec, 64, 64, 30), threading.Event(), list[int]()

    def see(task: FrameTask) -> None:
        if task.number == 32:
            began.set()
        elif task.level == 2 and task.number < 16 and not began.wait(PATIENCE):
            missed.append(task.number)

    watch(encoder, see)
    assert whole(encoder, clip).frames == FRAMES
    assert not missed


def test_pictures_are_taken_while_others_are_coded(
    tiny_codec: Any, threads: Callable[[int], None]
) -> None:
    """The I frame is not done before the mini-GOP behind those that it waited for has come."""
    threads(2)
    encoder, came, missed = GopEncoder(tiny_codec, 64, 64, 30), threading.Event(), list[int]()

    def see(task: FrameTask) -> None:
        if task.number == 0 and not came.wait(PATIENCE):
            missed.append(0)

    watch(encoder, see)
    *first, last = parts(moving(64, 64, 65))
    for pictures in first:
        encoder.add(pictures)
    assert encoder.count == 0  # all that the I frame waits for is there: it is being coded
    came.set()
    encoder.add(last)
    assert encoder.count == 1
    assert encoder.finish().frames == 65
    assert not missed


@pytest.mark.parametrize("n", [1, 3])
def test_an_error_in_a_frame_ends_the_encode(
    tiny_codec: Any, threads: Callable[[int], None], n: int
) -> None:
    """It is raised as it came, no frame that needs it begins, and no thread is left."""
    threads(n)
    before, encoder, begun = workers(), GopEncoder(tiny_codec, 64, 64, 30), set[int]()

    def see(task: FrameTask) -> None:
        begun.add(task.number)
        if task.number == 24:
            raise OSError("no space left")

    watch(encoder, see)
    with pytest.raises(OSError, match="no space left"):
        whole(encoder, moving(64, 64, FRAMES))
    assert 24 in begun
    assert not begun & {20, 28}
    assert workers() == before


@pytest.mark.parametrize("n", [1, 3])
def test_ctrl_c_stops_at_once(
    tiny_codec: Any, clip: list[Picture], threads: Callable[[int], None], n: int
) -> None:
    """What is waited for is no longer waited for, what runs ends, the rest never begins."""
    threads(n)
    before, encoder, begun = workers(), GopEncoder(tiny_codec, 64, 64, 30), set[int]()

    def stop(frames: int) -> None:
        if frames == 3:
            raise KeyboardInterrupt

    watch(encoder, lambda task: begun.add(task.number))
    encoder.tell = stop
    with pytest.raises(KeyboardInterrupt):
        whole(encoder, clip)
    assert len(begun) <= FRAMES - 16
    assert workers() == before


@pytest.mark.parametrize("n", [1, 4])
def test_references_keep_their_phases_no_longer_than_needed(
    tiny_codec: Any, threads: Callable[[int], None], n: int
) -> None:
    """Sixteen times the luma each. The key frames that the next one refers to keep theirs."""
    threads(n)
    encoder, seen = GopEncoder(tiny_codec, 64, 64, 30), dict[int, Coded]()

    def see(task: FrameTask) -> None:
        for reference in task.references:
            seen[reference.number] = reference

    watch(encoder, see)
    whole(encoder, moving(64, 64, FRAMES))
    assert {16, 8, 24, 40} <= seen.keys()
    assert {number for number, coded in seen.items() if coded.phases is not None} <= {32, 48}


def test_a_cut_keeps_to_what_had_begun(
    tiny_codec: Any, clip: list[Picture], threads: Callable[[int], None]
) -> None:
    """What only the look-ahead has seen is not coded."""
    threads(2)
    encoder, begun = GopEncoder(tiny_codec, 64, 64, 30), set[int]()
    watch(encoder, lambda task: begun.add(task.number))
    for pictures in parts(clip):
        encoder.add(pictures)
    result = encoder.finish(cut=True)
    assert result.frames == 1
    assert begun == {0}
