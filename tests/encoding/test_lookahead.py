"""Look-ahead: blocks that others take over are worth more, and what they are worth is what the
encoder keeps to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.clips import grainy, moving

from vqcodec.codec.gop_body import parse_body
from vqcodec.codec.gop_decoder import decode_gop
from vqcodec.codec.gop_structure import gop_order
from vqcodec.encoding import horizon
from vqcodec.encoding.frame_encoder import FrameEncoder
from vqcodec.encoding.frame_task import CodedFrame, FrameTask
from vqcodec.encoding.gop_encoder import GopEncoder
from vqcodec.encoding.lookahead import FramePlan, LookAhead
from vqcodec.encoding.rate_distortion import LEVEL_OFFSETS, RateParameters, targets
from vqcodec.picture import Picture

CRF = 30
LEAST = RateParameters().least_offset


def texture(seed: int, h: int = 128, w: int = 192) -> np.ndarray:
    """Luma of patches of many sizes."""
    rng = np.random.default_rng(seed)
    out = np.zeros((h, w))
    for size in (4, 8, 16, 32):
        patches = rng.normal(0, 14, (h // size + 1, w // size + 1))
        out += np.kron(patches, np.ones((size, size)))[:h, :w]
    return np.clip(out + 128, 0, 255).astype(np.uint8)


def grey(luma: np.ndarray) -> Picture:
    h, w = luma.shape
    chroma = np.full((h // 2, w // 2), 128, np.uint8)
    return Picture(luma, chroma, chroma)


def planned(clip: list[np.ndarray]) -> dict[int, FramePlan]:
    """What the look-ahead says of each frame of a clip that is a GOP."""
    ahead, minis = LookAhead(targets(CRF), RateParameters()), gop_order(len(clip))
    for slots in minis:
        frames = sorted(slot.frame for slot in slots)
        ahead.add([grey(clip[frame]) for frame in frames], slots)
    return {frame: plan for _ in minis for frame, plan in ahead.next().result().items()}


@pytest.fixture(scope="module")
def still() -> dict[int, FramePlan]:
    return planned([texture(1)] * 65)


def test_the_first_frame_of_what_stays_is_the_best(still: dict[int, FramePlan]) -> None:
    """All 65 frames show the error of the first: 6 octaves. The last ones are shown by none."""
    assert still[0].offset == LEAST + round(RateParameters().inherited_quality * np.log2(65))
    keys = [still[frame].offset for frame in (0, 32, 64)]
    assert keys[0] == keys[1] + 6  # half of the frames show the error of the middle
    assert keys[1] > keys[2] + 6
    assert {still[frame].offset for frame in range(1, 64, 2)} == {LEAST}
    assert still[40].offset > still[36].offset > still[34].offset > LEAST


def test_what_moves_is_inherited_too(still: dict[int, FramePlan]) -> None:
    wide = texture(1, 128, 192 + 2 * 64)
    pan = planned([wide[:, 2 * i : 2 * i + 192] for i in range(65)])
    # what leaves the picture within the look-ahead is not
    assert still[0].offset - 8 <= pan[0].offset < still[0].offset
    assert abs(pan[8].offset - still[8].offset) <= 2


def test_noise_is_not_inherited() -> None:
    rng = np.random.default_rng(2)
    clip = [np.clip(rng.normal(128, 30, (128, 192)), 0, 255).astype(np.uint8) for _ in range(33)]
    plans = planned(clip)
    assert max(plan.offset for plan in plans.values()) <= LEAST + 10
    # on a still picture it takes from what is inherited, the more the stronger it is
    base = texture(1).astype(float)
    first = []
    for strength in (0, 5, 15):
        noisy = [np.clip(base + rng.normal(0, strength, base.shape), 0, 255) for _ in range(33)]
        first.append(planned([luma.astype(np.uint8) for luma in noisy])[0].offset)
    assert first[0] > first[1] > first[2] + 3


def test_nothing_is_inherited_behind_the_end_of_a_scene(still: dict[int, FramePlan]) -> None:
    """Where the cut was not seen as one, and the GOP goes on."""
    cut = planned([texture(1)] * 33 + [texture(9)] * 32)
    assert cut[32].offset < still[48].offset - 3
    assert cut[0].offset < still[0].offset
    assert cut[48].offset >= still[48].offset  # the frames before it show no other of the scene


def test_light_that_changes_is_no_new_content(still: dict[int, FramePlan]) -> None:
    gains = np.linspace(1.0, 0.25, 65)
    fade = planned([np.rint((texture(1) - 16.0) * gain + 16).astype(np.uint8) for gain in gains])
    assert fade[0].offset >= still[0].offset - 5
    assert fade[32].offset >= still[32].offset - 5


def test_a_dissolve_is_new_content(still: dict[int, FramePlan]) -> None:
    one, other = texture(1).astype(float), texture(9).astype(float)
    mixed = [one + (other - one) * min(1.0, i / 16) for i in range(65)]
    dissolve = planned([np.rint(luma).astype(np.uint8) for luma in mixed])
    assert dissolve[0].offset < still[0].offset - 6
    assert dissolve[16].offset >= still[16].offset - 2


def test_blocks_that_stay_are_worth_more_than_others() -> None:
    """The left half stays, the right half is another in each frame."""
    clip = [np.hstack([texture(1)[:, :96], texture(i)[:, 96:]]) for i in range(33)]
    plans = planned(clip)
    for frame in (0, 16):
        worths = plans[frame].worths
        assert worths is not None
        assert worths.shape == (8, 12)
        assert worths.dtype == np.float32
        assert np.median(worths[:, :6]) > 4 * np.median(worths[:, 6:])
    assert plans[2].worths is None  # hardly any other shows it
    flat = planned([texture(1)] * 17)[0].worths
    assert flat is not None
    assert np.allclose(flat, 1, atol=1e-3)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 70), (130, 66)])
def test_pictures_of_all_sizes(height: int, width: int) -> None:
    luma = texture(3, height, width)
    ahead, slots = LookAhead(targets(CRF), RateParameters()), gop_order(2)
    for number in range(2):
        chroma = np.zeros((-(-height // 2), -(-width // 2)), np.uint8)
        ahead.add([Picture(luma, chroma, chroma)], slots[number])
    worths = ahead.next().result()[0].worths
    assert worths is not None
    assert worths.shape == (-(-height // 64) * 4, -(-width // 64) * 4)
    assert np.isfinite(worths).all()


def test_ten_bits_are_planned_as_eight() -> None:
    clip = [texture(1)] * 17
    ten = [luma.astype(np.uint16) << 2 for luma in clip]
    assert planned(clip)[0].offset == planned(ten)[0].offset


def test_a_single_picture_has_the_quality_of_a_usual_first_frame() -> None:
    assert planned([texture(1)]) == {0: FramePlan(LEVEL_OFFSETS[0], None)}


def test_what_is_certain() -> None:
    assert horizon.ready([]) == horizon.ready([1]) == horizon.ready([1, 16, 16]) == 0
    assert horizon.ready([1, 16, 16, 16]) == 1
    assert horizon.ready([1, 16, 16, 16, 15]) == 1
    assert horizon.ready([1, 16, 16, 16, 16]) == 2
    assert horizon.ready([16, 16, 32, 32]) == 2


def test_pictures_wait_for_what_follows(tiny_codec: Any) -> None:
    """They are coded as early as the look-ahead allows, and all the same at the end."""
    clip = moving(64, 64, 81)
    encoder = GopEncoder(tiny_codec, 64, 64, 50)
    coded = []
    for pictures in (clip[:1], *(clip[i : i + 16] for i in range(1, 81, 16))):
        encoder.add(pictures)
        coded.append(encoder.count)
    assert coded == [0, 0, 0, 1, 17, 33]
    assert encoder.step()
    assert encoder.count == 49
    assert encoder.finish().frames == 81
    assert not encoder.step()


def watched(encoder: GopEncoder, monkeypatch: pytest.MonkeyPatch) -> dict[int, Any]:
    """What error in the blocks of each frame is worth to an encoder, by the frame's number."""
    given: dict[int, Any] = {}
    encode = encoder.coder.encode

    def watching(task: FrameTask) -> CodedFrame:
        given[task.number] = task.worths
        return encode(task)

    monkeypatch.setattr(encoder.coder, "encode", watching)
    return given


def test_a_start_is_coded_as_it_is_in_the_whole(tiny_codec: Any) -> None:
    """What a probe of a target codes is what the GOP will have there."""
    clip, streams = moving(64, 64, 97), []
    for frames in (65, 97):
        encoder = GopEncoder(tiny_codec, 64, 64, 50)
        for pictures in (clip[:1], *(clip[i : i + 16] for i in range(1, frames, 16))):
            encoder.add(pictures)
        result = encoder.finish(cut=frames == 65)
        streams.append([bytes(s) for s in parse_body(result.body, result.frames).streams])
    assert [len(some) for some in streams] == [17, 97]
    assert streams[0] == streams[1][:17]


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
    assert errors[0][0] < 0.8 * errors[1][0]
    assert errors[1][1] < 0.8 * errors[0][1]


def test_frames_of_reference_are_weighed_and_decode_as_they_were_coded(
    tiny_codec: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = grainy(moving(128, 64, 20), 6)
    encoder = GopEncoder(tiny_codec, 128, 64, 30)
    given = watched(encoder, monkeypatch)
    for pictures in (clip[:1], clip[1:]):
        encoder.add(pictures)
    result = encoder.finish()
    slots = [slot for slots in gop_order(20) for slot in slots]
    weighed = {slot.frame for slot in slots if slot.level < encoder.rate.weighed_levels}
    assert {f for f in range(20) if given[f] is not None} == weighed
    assert all(given[f].shape == (4, 8) and given[f].std() > 0 for f in (0, 9, 19))
    assert len(list(decode_gop(tiny_codec, result.body, 20, 128, 64))) == 20
    plain = GopEncoder(tiny_codec, 128, 64, 30, RateParameters(lookahead_strength=0.0))
    for pictures in (clip[:1], clip[1:]):
        plain.add(pictures)
    assert plain.finish().body != result.body
