"""The whole way with a real (tiny) network: files in, .vqv, files out."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from support.clips import header, moving, picture, same, write

from vqcodec.cli import main
from vqcodec.codec.gop_decoder import decode_gop
from vqcodec.container.reader import ContainerReader
from vqcodec.encoding.model import load_model
from vqcodec.errors import WeightsError
from vqcodec.media.source import VideoSource
from vqcodec.options import DecodeOptions, EncodeOptions, Time
from vqcodec.picture import Picture
from vqcodec.pipeline.decode import decode
from vqcodec.pipeline.encode import encode
from vqcodec.reading.verify import verify

pytestmark = pytest.mark.usefixtures("one_thread")
W, H, GOP = 50, 38, 5
ONE = EncodeOptions(gop=GOP, crf=30, threads=1, device="cpu")
OUT = DecodeOptions(vcodec="ffv1", threads=1, device="cpu")


def frames(path: Path) -> list[Picture]:
    with VideoSource(path) as source:
        return [p for _, p in source]


def reader(path: Path) -> ContainerReader:
    return ContainerReader.open(io.BytesIO(path.read_bytes()))


@pytest.fixture(scope="module")
def clip() -> list[Picture]:
    return moving(W, H, 14, seed=4)


@pytest.fixture(scope="module")
def coded(
    clip: list[Picture], tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("coded")
    write(folder / "in.mkv", header(W, H), clip, vcodec="ffv1")
    report = encode(str(folder / "in.mkv"), str(folder / "a.vqv"), ONE, weights=str(tiny_weights))
    assert (report.frames, report.gops, report.bytes) == (14, 3, (folder / "a.vqv").stat().st_size)
    return folder / "a.vqv"


@pytest.mark.parametrize("suffix", ["y4m", "mkv"])
@pytest.mark.parametrize("ten_bit", [False, True])
def test_files_in_and_out(
    clip: list[Picture], tiny_weights: Path, tmp_path: Path, suffix: str, ten_bit: bool
) -> None:
    pictures = moving(W, H, 6, seed=4, ten_bit=ten_bit)
    options = {"vcodec": "ffv1"} if suffix == "mkv" else {}
    source = write(
        tmp_path / f"in.{suffix}", header(W, H, bit_depth=10 if ten_bit else 8), pictures, **options
    )
    report = encode(str(source), str(tmp_path / "a.vqv"), ONE, weights=str(tiny_weights))
    done = decode(
        str(tmp_path / "a.vqv"),
        str(tmp_path / f"out.{suffix}"),
        DecodeOptions(threads=1, device="cpu", **options),
        weights=str(tiny_weights),
    )
    assert done.ok
    assert done.frames == 6
    got = frames(tmp_path / f"out.{suffix}")
    codec = load_model(tiny_weights, "cpu", 1)
    r = reader(tmp_path / "a.vqv")
    want = [
        p for i in range(2) for p in decode_gop(codec, r.read_gop(i).body, r.gops[i].count, W, H)
    ]
    assert len(got) == 6
    assert all(same(a, b if ten_bit else b.to8()) for a, b in zip(got, want, strict=True))
    # the error that was reported is that of the file
    sse = sum(
        float(((a.y.astype(float) - b.y) ** 2).sum()) for a, b in zip(got, pictures, strict=True)
    ) / (16 if ten_bit else 1)
    assert report.sse[0] == pytest.approx(sse, rel=1e-6)
    assert round(sum(r.read_gop(i).sse[0] for i in range(2))) == pytest.approx(sse, abs=2)


def test_every_pixel_is_verified(coded: Path, tiny_weights: Path) -> None:
    result = verify(str(coded), weights=str(tiny_weights))
    assert result.ok
    assert result.pixels_checked
    assert result.frames == 14
    assert result.damaged_gops == 0
    assert main(["verify", "-q", "--weights", str(tiny_weights), str(coded)]) == 0


def test_wrong_pixels_do_not_pass(
    coded: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vqcodec.codec.nets import backend_choice
    from vqcodec.codec.nets.backend import Backend

    def wrong(device: str) -> Backend:
        """A processor that computes wrongly and was not found out, whichever arithmetic is the
        fastest on it."""
        backend = choose(device)
        real = backend.quant8  # which every arithmetic has, and nothing goes past
        monkeypatch.setattr(backend, "quant8", lambda t, scale: real(t, scale) ^ 4)
        return backend

    choose = backend_choice.choose_backend
    monkeypatch.setattr(backend_choice, "choose_backend", wrong)
    result = verify(str(coded), weights=str(tiny_weights))
    assert not result.ok
    assert result.damaged_gops == 3


def test_other_weights_are_refused(coded: Path, tiny_weights: Path, tmp_path: Path) -> None:

    from safetensors.numpy import load_file

    from vqcodec.codec import weights

    tensors = load_file(tiny_weights)
    tensors["intra.synthesis.last.bias"] = tensors["intra.synthesis.last.bias"] + np.int32(1)
    weights.save(
        tmp_path / "other.safetensors",
        tensors,
        weights.read_weights(tiny_weights).shapes(),
    )
    with pytest.raises(WeightsError, match="needs model"):
        decode(str(coded), str(tmp_path / "out.y4m"), weights=str(tmp_path / "other.safetensors"))
    for command in (
        ["decode", "-q", str(coded), str(tmp_path / "out.y4m")],
        ["verify", "-q", str(coded)],
    ):
        assert main([*command, "--weights", str(tmp_path / "other.safetensors")]) == 7
    assert not (tmp_path / "out.y4m").exists()


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_flipped_byte_costs_one_gop(
    coded: Path, tiny_weights: Path, tmp_path: Path, bad: int
) -> None:
    decode(str(coded), str(tmp_path / "good.mkv"), OUT, weights=str(tiny_weights))
    want = frames(tmp_path / "good.mkv")
    r = reader(coded)
    lost = range(r.gops[bad].first_frame, r.gops[bad].first_frame + r.gops[bad].count)
    ends = [e.offset for e in r.gops[1:]] + [r.gops[-1].offset + 400]
    for where in (r.gops[bad].offset + 60, (r.gops[bad].offset + ends[bad]) // 2):
        data = bytearray(coded.read_bytes())
        data[where] ^= 0x20
        broken = tmp_path / "broken.vqv"
        broken.write_bytes(data)
        report = decode(
            str(broken), str(tmp_path / "out.mkv"), OUT, weights=str(tiny_weights), overwrite=True
        )
        assert not report.ok
        assert report.concealed == len(lost)
        assert report.frames == 14
        got = frames(tmp_path / "out.mkv")
        assert len(got) == 14
        assert all(
            same(a, b) for i, (a, b) in enumerate(zip(got, want, strict=True)) if i not in lost
        )
        assert not all(same(got[i], want[i]) for i in lost)
        assert (
            main(
                [
                    "decode",
                    "-q",
                    "-y",
                    "--weights",
                    str(tiny_weights),
                    str(broken),
                    str(tmp_path / "cli.y4m"),
                ]
            )
            == 4
        )
        assert main(["verify", "-q", "--weights", str(tiny_weights), str(broken)]) == 4


def test_the_same_bytes_and_pixels_for_any_thread_count(
    coded: Path, clip: list[Picture], tiny_weights: Path, tmp_path: Path
) -> None:
    source = coded.parent / "in.mkv"
    for threads in (1, 2):
        encode(
            str(source),
            str(tmp_path / f"{threads}.vqv"),
            EncodeOptions(gop=GOP, crf=30, threads=threads, device="cpu"),
            weights=str(tiny_weights),
        )
        assert (tmp_path / f"{threads}.vqv").read_bytes() == coded.read_bytes()
        for batch in (1, 3):
            decode(
                str(coded),
                str(tmp_path / f"{threads}{batch}.y4m"),
                DecodeOptions(threads=threads, batch=batch, device="cpu"),
                weights=str(tiny_weights),
            )
    assert len({(tmp_path / f"{t}{b}.y4m").read_bytes() for t in (1, 2) for b in (1, 3)}) == 1


def test_a_slice_is_that_of_the_whole(coded: Path, tiny_weights: Path, tmp_path: Path) -> None:
    decode(str(coded), str(tmp_path / "all.mkv"), OUT, weights=str(tiny_weights))
    options = DecodeOptions(
        vcodec="ffv1", start=Time(frames=7), duration=Time(frames=4), threads=1, device="cpu"
    )
    decode(str(coded), str(tmp_path / "part.mkv"), options, weights=str(tiny_weights))
    part = frames(tmp_path / "part.mkv")
    assert len(part) == 4
    assert all(same(a, b) for a, b in zip(part, frames(tmp_path / "all.mkv")[7:11], strict=True))


@pytest.mark.parametrize("size", [(1, 1), (3, 2)])
def test_the_smallest_pictures(tiny_weights: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    source = write(tmp_path / "in.y4m", header(*size), [picture(*size, i) for i in range(3)])
    encode(str(source), str(tmp_path / "a.vqv"), ONE, weights=str(tiny_weights))
    assert verify(str(tmp_path / "a.vqv"), weights=str(tiny_weights)).ok
    decode(str(tmp_path / "a.vqv"), str(tmp_path / "out.y4m"), weights=str(tiny_weights))
    assert len(frames(tmp_path / "out.y4m")) == 3
