"""Look-ahead: blocks that others take over are worth more, and what they are worth is what the
encoder keeps to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.clips import grainy, moving

from vqcodec.codec.gop_decoder import decode_gop
from vqcodec.encoding.frame_encoder import FrameEncoder
from vqcodec.encoding.frame_task import CodedFrame, FrameTask
from vqcodec.encoding.gop_encoder import GopEncoder
from vqcodec.encoding.lookahead import worths
from vqcodec.encoding.rate_distortion import RateParameters


def test_what_neighbours_show_is_worth_more() -> None:
    errors = np.full((4, 8, 12), 1e6)
    errors[:, :4, :6] = 0.0  # all neighbours show it
    errors[:2, 4:, 6:] = 0.0  # half of them do
    w = worths(errors, 30, 1.0, 64, 96)
    assert w.shape == (4, 6) and w.dtype == np.float32
    assert float(np.log2(w).mean()) == pytest.approx(0, abs=1e-6)
    assert w[0, 0] / w[0, 5] == pytest.approx(4, rel=1e-3) and w[3, 5] / w[0, 5] == pytest.approx(
        2, rel=1e-3
    )
    assert np.array_equal(worths(errors, 30, 0.0, 64, 96), np.ones((4, 6), np.float32))
    assert np.allclose(worths(np.full((3, 8, 8), 5.0), 30, 1.0, 64, 64), 1)
    # what coding hides is no difference: the same errors matter less at low quality
    faint = np.where(errors > 0, 3.0, 0.0)
    assert worths(faint, 10, 1.0, 64, 96).max() < worths(faint, 50, 1.0, 64, 96).max()


def test_padding_has_no_part_in_the_mean() -> None:
    errors = np.full((2, 16, 16), 50.0)
    errors[:, :5, :9] = 0.0
    shown = worths(errors, 30, 1.0, 66, 66)[:5, :5]
    assert shown.std() > 0 and float(np.log2(shown).mean()) == pytest.approx(0, abs=1e-6)


def watched(encoder: GopEncoder, monkeypatch: pytest.MonkeyPatch) -> dict[int, Any]:
    """What error in the blocks of each frame is worth to an encoder, by the frame's number."""
    given: dict[int, Any] = {}
    encode = encoder.coder.encode

    def watching(task: FrameTask) -> CodedFrame:
        given[task.number] = task.worths
        return encode(task)

    monkeypatch.setattr(encoder.coder, "encode", watching)
    return given


def test_a_key_frame_that_nothing_refers_to_is_not_weighed(
    tiny_codec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last mini-GOP of a GOP may be its key frame alone."""
    clip = moving(128, 64, 18)
    encoder = GopEncoder(tiny_codec, 128, 64, 30)
    given = watched(encoder, monkeypatch)
    for pictures in (clip[:1], clip[1:17], clip[17:]):
        encoder.add(pictures)
    encoder.finish()
    assert [f for f in range(18) if given[f] is not None] == [0, 16]


def test_error_is_left_where_it_is_worth_least(tiny_codec: Any) -> None:
    """The same I frame with the left half worth sixteen times the right half, and the other way
    round."""
    rng = np.random.default_rng(5)
    y = np.kron(rng.integers(40, 216, (32, 64)), np.ones((4, 4))).astype(np.uint16) * 4
    chroma = np.full((64, 128), 512, np.uint16)
    source, errors = (y, chroma, chroma), []
    for left in (4.0, 0.25):
        weights = np.full((8, 16), 1 / left, np.float32)
        weights[:, :8] = left
        task = FrameTask(source, 0, 0, 30, [], worths=weights)
        coded = FrameEncoder(tiny_codec, 256, 128).encode(task).frame
        e = np.square(coded.planes[0].astype(float) - y)
        errors.append((e[:, :128].mean(), e[:, 128:].mean()))
    assert errors[0][0] < 0.8 * errors[1][0] and errors[1][1] < 0.8 * errors[0][1]


def test_i_and_key_frames_are_weighed_and_decode_as_they_were_coded(
    tiny_codec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = grainy(moving(128, 64, 20), 6)
    encoder = GopEncoder(tiny_codec, 128, 64, 30)
    given = watched(encoder, monkeypatch)
    for pictures in (clip[:1], clip[1:17], clip[17:]):
        encoder.add(pictures)
    result = encoder.finish()
    assert [f for f in range(20) if given[f] is not None] == [0, 16, 19]
    assert all(given[f].shape == (4, 8) and given[f].std() > 0 for f in (0, 16, 19))
    assert len(list(decode_gop(tiny_codec, result.body, 20, 128, 64))) == 20
    plain = GopEncoder(tiny_codec, 128, 64, 30, RateParameters(lookahead_strength=0.0))
    for pictures in (clip[:1], clip[1:17], clip[17:]):
        plain.add(pictures)
    assert plain.finish().body != result.body
