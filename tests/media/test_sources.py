"""Sources as they come: cut, damaged, of every kind. Damage is noticed, counted and reported, and
what is whole comes back."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image
from support.clips import header, moving, write
from support.media import FILES, Sound, listing, make, make_named
from support.paths import DATA

from vqcodec.cli import main
from vqcodec.errors import InputError, VqvError
from vqcodec.media.file_bytes import FileBytes
from vqcodec.media.integrity import broken_at
from vqcodec.media.source import VideoSource
from vqcodec.options import DecodeOptions
from vqcodec.pipeline.decode import decode
from vqcodec.pipeline.encode import encode

pytestmark = pytest.mark.usefixtures("fake_network")

# on their way from the source to the output these change, and the reader is told: pictures become
# 4:2:0
CONVERTED = {
    "chroma422.mkv": "yuv422p",
    "chroma444.mkv": "yuv444p10le",
    "gray.mkv": "gray",
    "rgb.mkv": "bgr0",
}


@pytest.fixture(scope="module")
def long_clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same 60 frames and sound in each kind of file."""
    folder = tmp_path_factory.mktemp("clips")
    sound = (Sound(),)
    clips = {
        "mkv": make(folder / "a.mkv", frames=60, sounds=sound),
        "ts": make(folder / "a.ts", frames=60, sounds=sound, base=Fraction(1, 90000)),
        # FFmpeg's encoder of AAC makes other bytes on other processors, and mp4 has no checksums:
        # which damage shows depends on them
        "mp4": DATA / "sound.mp4",
        "y4m": write(folder / "a.y4m", header(64, 48), moving(64, 48, 60)),
        "avi": make(folder / "a.avi", frames=60, codec="mpeg4", sounds=(Sound("libmp3lame"),)),
    }
    return clips


@pytest.mark.parametrize("side", [8, 64, 700])
@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".png", ".webp", ".bmp", ".tiff", ".ppm"])
def test_a_single_picture(tmp_path: Path, suffix: str, side: int) -> None:
    """By its content, however little of it there is: by its name FFmpeg would take small JPEGs for
    a row of pictures, which is refused."""
    picture = Image.effect_noise((side, side), 40).convert("RGB")
    picture.save(tmp_path / f"a{suffix}")
    assert encode(tmp_path / f"a{suffix}", tmp_path / "a.vqv").frames == 1


@pytest.mark.parametrize("name", FILES)
def test_every_kind_of_source(tmp_path: Path, name: str) -> None:
    """Nothing is taken for damaged, and frames, times and tracks come back."""
    source = make_named(tmp_path, name)
    report = encode(str(source), str(tmp_path / "a.vqv"))
    assert report.corrupt == 0
    assert [w for w in report.warnings if "interlaced" not in w] == []
    assert bool(report.notes) == (name in CONVERTED)
    assert CONVERTED.get(name, "") in "".join(report.notes)
    done = decode(
        str(tmp_path / "a.vqv"),
        str(tmp_path / f"out{source.suffix}"),
        DecodeOptions(vcodec="ffv1" if name == "odd.mkv" else None),
    )
    assert done.ok
    assert done.notes == []
    if name == "negative.mkv":
        return
    want, got = listing(source), listing(tmp_path / f"out{source.suffix}")
    assert len(want["times"]) == FILES[name].get("frames", 25) - (name == "hidden.mp4") * 4
    for key in (
        "times",
        "tracks",
        "tags",
        "chapters",
        "size",
        "sar",
        "matrix",
        "hdr",
        "bits",
        "disposition",
    ):
        if key != "bits" or name not in CONVERTED:
            assert got[key] == want[key], key
    if name not in CONVERTED:
        assert got["colour"] == want["colour"]


@pytest.mark.parametrize("kind", ["mkv", "ts", "mp4", "y4m", "avi"])
@pytest.mark.parametrize("part", [0.35, 0.6, 0.9, 0.97])
def test_a_cut_source_is_noticed(
    tmp_path: Path, long_clips: dict[str, Path], kind: str, part: float
) -> None:
    data = long_clips[kind].read_bytes()
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(data[: int(len(data) * part) + 7])
    report = encode(str(path), str(tmp_path / "a.vqv"))
    assert 0 < report.frames <= 60, report
    assert report.corrupt > 0, report
    assert report.warnings, report
    if kind == "y4m":
        head = data.index(b"\n") + 1
        assert report.frames == (len(path.read_bytes()) - head) // (len(data[head:]) // 60)
    assert main(["encode", "-q", str(path), str(tmp_path / "b.vqv")]) == 4
    assert (tmp_path / "b.vqv").exists()
    assert main(["encode", "-q", "--strict", str(path), str(tmp_path / "c.vqv")]) == 4
    assert not (tmp_path / "c.vqv").exists()
    assert (
        main(["verify", "-q", str(tmp_path / "b.vqv")]) == 0
    )  # what could be read is a whole file
    assert main(["decode", "-q", str(tmp_path / "b.vqv"), str(tmp_path / "out.mkv")]) == 0


@pytest.mark.parametrize("kind", ["mkv", "ts", "mp4"])
def test_twenty_damaged_ranges(tmp_path: Path, long_clips: dict[str, Path], kind: str) -> None:
    """Ranges of 200 bytes over the file are overwritten, each in a file of its own."""
    data = long_clips[kind].read_bytes()
    noticed = 0
    for i in range(20):
        damaged = bytearray(data)
        at = len(data) // 10 + (len(data) * 8 // 10) * i // 20
        damaged[at : at + 200] = random.Random(i).randbytes(200)
        path = tmp_path / f"{i}.{kind}"
        path.write_bytes(bytes(damaged))
        try:
            report = encode(str(path), str(tmp_path / "a.vqv"), overwrite=True)
        except VqvError:
            noticed += 1
            continue
        assert 0 < report.frames <= 61
        noticed += report.corrupt > 0
        assert decode(str(tmp_path / "a.vqv"), str(tmp_path / "out.mkv"), overwrite=True).ok
    # one range lies within a packet of sound that decodes in spite of it: mp4 has no checksums
    assert noticed >= {"mkv": 20, "ts": 20, "mp4": 19}[kind]


@pytest.mark.parametrize("codec", ["libx265", "mpeg2video"])
def test_damaged_pictures_are_the_same_each_time(tmp_path: Path, codec: str) -> None:
    """Decoders that share a picture among threads conceal damage in the order in which the threads
    come."""
    options = {"x265-params": "log-level=error:wpp=1:ctu=16"} if codec == "libx265" else {}
    whole = make(
        tmp_path / "in.mkv", size=(320, 240), frames=12, codec=codec, options=options
    ).read_bytes()
    for seed in range(4):
        rng = random.Random(seed)
        damaged = bytearray(whole)
        for at in (rng.randrange(len(damaged) // 10, len(damaged) - 100) for _ in range(4)):
            damaged[at : at + 3] = rng.randbytes(3)
        (tmp_path / "damaged.mkv").write_bytes(damaged)
        seen = set()
        for _ in range(4):
            with VideoSource(tmp_path / "damaged.mkv") as source:
                pictures = hashlib.md5(
                    b"".join(plane.tobytes() for _, picture in source for plane in picture)
                ).digest()
            seen.add((pictures, source.corrupt))
        assert len(seen) == 1
        assert source.corrupt


@pytest.mark.parametrize("kind", ["mkv", "ts", "mp4", "y4m", "avi"])
def test_damage_everywhere_at_once(tmp_path: Path, long_clips: dict[str, Path], kind: str) -> None:
    """Twenty ranges of 100 bytes in one file: noticed, and never more than one of our errors."""
    for seed in range(3):
        rng = random.Random(seed)
        damaged = bytearray(long_clips[kind].read_bytes())
        for _ in range(20):
            at = rng.randrange(3000, len(damaged) - 100)
            damaged[at : at + 100] = rng.randbytes(100)
        path = tmp_path / f"{seed}.{kind}"
        path.write_bytes(bytes(damaged))
        code = main(["encode", "-q", "-y", str(path), str(tmp_path / "a.vqv")])
        assert code in (0, 3, 4)
        assert kind == "y4m" or code in (3, 4)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("live.mkv", {"live": "1"}),
        ("m2ts.ts", {"mpegts_m2ts_mode": "1"}),
        ("end.mkv", {"reserve_index_space": "5000"}),
        ("frag.mp4", {"movflags": "frag_keyframe+empty_moov"}),
    ],
)
def test_structure_of_unusual_files(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    path = make(
        tmp_path / name,
        frames=60,
        sounds=(Sound(),),
        base=Fraction(1, 90000) if name.endswith("ts") else None,
        format_options=options,
    )
    with VideoSource(path) as source:
        assert len(list(source)) == 60, source.warnings
        assert source.corrupt == 0, source.warnings
        kind = source._reader.container.format.name
    data = path.read_bytes()
    assert broken_at(str(path), kind) == []
    if name != "live.mkv":  # which may end anywhere
        path.write_bytes(data[:-50])
        assert broken_at(str(path), kind)
    if name.endswith(("mkv", "ts")):
        path.write_bytes(data[: len(data) // 2] + b"\xff" * 1000 + data[len(data) // 2 + 1000 :])
        assert broken_at(str(path), kind)


def test_structure_of_random_files(tmp_path: Path, long_clips: dict[str, Path]) -> None:
    """Whatever the bytes are, the walk ends, within the file and with no exception."""
    names = {"mkv": "matroska,webm", "ts": "mpegts", "mp4": "mov,mp4,m4a,3gp,3g2,mj2", "avi": "avi"}
    rng = random.Random(4)
    for kind, name in names.items():
        whole = long_clips[kind].read_bytes()
        assert broken_at(str(long_clips[kind]), name) == []
        for i in range(60):
            data = bytearray(whole[: rng.randrange(1, len(whole))])
            for _ in range(rng.randrange(40)):
                data[rng.randrange(len(data)) if i % 2 else rng.randrange(min(len(data), 400))] = (
                    rng.choice((0, 1, 0x1F, 0x80, 0xFF, rng.randrange(256)))
                )
            (tmp_path / "x").write_bytes(bytes(data))
            found = broken_at(str(tmp_path / "x"), name, 20)
            assert len(found) <= 20
            assert all(0 <= n <= len(data) for n in found)


def test_a_source_that_shrinks_or_fails_while_it_is_looked_at(
    tmp_path: Path, long_clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was mapped into memory, and the process ended by SIGBUS."""
    names = {"mkv": "matroska,webm", "ts": "mpegts", "mp4": "mov,mp4,m4a,3gp,3g2,mj2"}
    for kind, name in names.items():
        path = tmp_path / f"in.{kind}"
        shutil.copy(long_clips[kind], path)
        read, size = FileBytes._read, path.stat().st_size

        def shrinking(
            self: FileBytes, start: int, stop: int, path: Path = path, read: Any = read
        ) -> bytes:
            os.truncate(path, 5000)
            return read(self, start, stop)

        with monkeypatch.context() as patch:
            patch.setattr(FileBytes, "_read", shrinking)
            found = broken_at(str(path), name)
        assert found, kind
        assert all(0 <= n <= size for n in found), kind

    def fails(*args: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(FileBytes, "_read", fails)
    with pytest.raises(InputError, match="a.mkv: cannot be read: Input/output error"):
        broken_at(str(long_clips["mkv"]), "matroska,webm")


def test_checksums_of_matroska(tmp_path: Path, long_clips: dict[str, Path]) -> None:
    """A byte that changes in the pictures or the sound of a file that FFmpeg made is noticed: sound
    decodes in spite of much."""
    whole = long_clips["mkv"].read_bytes()
    clusters = whole.index(bytes.fromhex("1f43b675"))
    for at in range(clusters, len(whole) - 120, 1499):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        (tmp_path / "a.mkv").write_bytes(damaged)
        assert broken_at(str(tmp_path / "a.mkv"), "matroska,webm"), at


def test_damaged_interlaced_sources_are_noticed(tmp_path: Path) -> None:
    path = make(
        tmp_path / "in.ts",
        **FILES["interlaced.ts"] | {"frames": 60, "sounds": (Sound("mp2", 48000),)},
    )
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 3, len(data) * 2 // 3, 5000):
        data[at : at + 300] = bytes(300)
    path.write_bytes(bytes(data))
    report = encode(str(path), str(tmp_path / "a.vqv"))
    assert report.corrupt > 0
    assert any("interlaced" in w for w in report.warnings)
    assert main(["encode", "-q", "--strict", str(path), str(tmp_path / "b.vqv")]) == 4
    assert not (tmp_path / "b.vqv").exists()


def test_zero_frames(tmp_path: Path) -> None:
    make(tmp_path / "sound.mkv", frames=0, codec="ffv1", sounds=(Sound(),))
    (tmp_path / "a.y4m").write_bytes(b"YUV4MPEG2 W16 H16 F25:1 Ip A0:0 C420jpeg\n")
    (tmp_path / "empty.mp4").write_bytes(b"")
    for path in tmp_path.iterdir():
        assert main(["encode", "-q", str(path), str(tmp_path / "a.vqv")]) == 3, path
        assert not (tmp_path / "a.vqv").exists(), path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_one_frame_with_sound(tmp_path: Path, suffix: str) -> None:
    source = make(
        tmp_path / f"in{suffix}",
        frames=1,
        sounds=(Sound(),),
        base=Fraction(1, 90000) if suffix == ".ts" else None,
    )
    encode(str(source), str(tmp_path / "a.vqv"))
    decode(str(tmp_path / "a.vqv"), str(tmp_path / f"out{suffix}"))
    want, got = listing(source), listing(tmp_path / f"out{suffix}")
    assert got["times"] == want["times"]
    assert len(got["times"]) == 1
    assert got["tracks"] == want["tracks"]


@pytest.mark.parametrize("delay", [Fraction(-1, 2), Fraction(2)])
def test_sound_that_begins_earlier_or_later(tmp_path: Path, delay: Fraction) -> None:
    source = make(
        tmp_path / "in.mov",
        frames=50,
        sounds=(Sound("pcm_s16le", 8000, "mono", begin=float(delay)),),
        base=Fraction(1, 1000),
        times=[1000 + 40 * i for i in range(50)],
    )
    encode(str(source), str(tmp_path / "a.vqv"))
    decode(str(tmp_path / "a.vqv"), str(tmp_path / "out.mov"))
    want, got = listing(source), listing(tmp_path / "out.mov")
    assert got["times"] == want["times"]
    assert got["tracks"] == want["tracks"]


def test_sound_much_longer_than_the_pictures(tmp_path: Path) -> None:
    source = make(
        tmp_path / "in.mkv",
        frames=25,
        sounds=(Sound("pcm_s16le", 8000, "mono"),),
        times=[40 * i if i < 24 else 30000 for i in range(25)],
        base=Fraction(1, 1000),
    )
    encode(str(source), str(tmp_path / "a.vqv"))
    decode(str(tmp_path / "a.vqv"), str(tmp_path / "out.mkv"))
    want, got = listing(source), listing(tmp_path / "out.mkv")
    assert got["tracks"] == want["tracks"]
    assert want["tracks"][0]["count"] > 200
    assert got["times"] == want["times"]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".ts"])
def test_frames_before_zero_are_not_hidden(tmp_path: Path, suffix: str) -> None:
    """Players of mp4 show nothing that lies before zero: two frames were once lost so."""
    source = make(tmp_path / "in.mkv", **FILES["negative.mkv"] | {"sounds": (Sound(),)})
    want = listing(source)
    assert want["times"][:3] == [Fraction(-2, 25), Fraction(-1, 25), 0]
    encode(str(source), str(tmp_path / "a.vqv"))
    report = decode(str(tmp_path / "a.vqv"), str(tmp_path / f"out{suffix}"))
    got = listing(tmp_path / f"out{suffix}")
    assert [t - got["times"][0] for t in got["times"]] == [
        t + Fraction(2, 25) for t in want["times"]
    ]
    assert bool(report.notes) == (suffix in (".mp4", ".mov"))
    sound, before = got["tracks"][0], want["tracks"][0]
    if suffix != ".ts":  # which wraps packets of AAC once more
        assert sound["md5"] == before["md5"]
    assert abs(
        (sound["times"][9][0] - got["times"][0]) - (before["times"][9][0] - want["times"][0])
    ) <= Fraction(1, 1000)


def test_b_frames_come_in_the_order_of_display(tmp_path: Path) -> None:
    with VideoSource(make_named(tmp_path, "b_frames.mp4")) as source:
        times = [pts for pts, _ in source]
        assert times == sorted(times)
        assert len(times) == 25
        assert source.corrupt == 0


@pytest.mark.parametrize("kind", ["ts", "mp4", "mov", "mkv", "webm"])
def test_a_still_with_sound_is_whole_in_all_kinds(tmp_path: Path, kind: str) -> None:
    """A picture or two that stand for long, and back: the length of the sound was once taken for
    missing pictures."""
    for times in ([0], [0, 5000]):
        source = make(
            tmp_path / "still.mp4",
            frames=len(times),
            base=Fraction(1, 1000),
            times=times,
            sounds=(Sound("aac"),),
        )
        assert main(["encode", "-q", "-y", str(source), str(tmp_path / "a.vqv")]) == 0
        out = tmp_path / f"out.{kind}"
        assert main(["decode", "-q", "-y", str(tmp_path / "a.vqv"), str(out)]) == 0
        assert main(["encode", "-q", "-y", str(out), str(tmp_path / "b.vqv")]) == 0, times


@pytest.mark.parametrize("kind", ["mp4", "mov", "mkv"])
def test_a_last_picture_that_stands_for_long(tmp_path: Path, kind: str) -> None:
    """As in many GIFs: in mp4 the last picture shown is not the last one in the file."""
    pictures = [Image.new("RGB", (64, 48), (40 * i, 80, 90)) for i in range(4)]
    pictures[0].save(
        tmp_path / "a.gif",
        save_all=True,
        append_images=pictures[1:],
        duration=[100, 100, 100, 3000],
        loop=0,
    )
    assert main(["encode", "-q", str(tmp_path / "a.gif"), str(tmp_path / "a.vqv")]) == 0
    assert main(["decode", "-q", str(tmp_path / "a.vqv"), str(tmp_path / f"a.{kind}")]) == 0
    report = encode(str(tmp_path / f"a.{kind}"), str(tmp_path / "b.vqv"))
    assert not report.corrupt, report.warnings
    assert report.frames == 4, report.warnings


@pytest.mark.parametrize("suffix", [".wmv", ".wtv"])
def test_sound_that_goes_on_is_no_damage(tmp_path: Path, suffix: str) -> None:
    """These kinds declare one length, that of the whole file, for the pictures too."""
    path = tmp_path / f"a{suffix}"
    codec = "wmv2" if suffix == ".wmv" else "mpeg2video"
    with av.open(str(path), "w") as file:
        pictures, sound = file.add_stream(codec, rate=25), file.add_stream("mp2", rate=44100)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        for _ in range(25):
            file.mux(pictures.encode(av.VideoFrame(64, 48, "yuv420p")))
        file.mux(pictures.encode())
        for at in range(0, 3 * 44100, 1152):
            frame = av.AudioFrame("s16", "stereo", 1152)
            frame.sample_rate, frame.pts = 44100, at
            file.mux(sound.encode(frame))
        file.mux(sound.encode())
    with VideoSource(path) as source:
        assert len(list(source)) == 25
        # and windows in the middle of the picture, which MPEG-2 has, are none to tell of
        assert source.corrupt == 0
        assert source.warnings == []
    if suffix == ".wmv":
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 6 // 10])
        with VideoSource(path) as source:
            assert list(source)
            assert source.corrupt
