"""Standard input and output, against real programs; names that trip up other tools."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from support.clips import header, picture, same, write
from support.clock import PATIENCE
from support.media import Sound, listing, make, make_named
from support.paths import PYTHONPATH, SUPPORT, files_in
from support.shells import codes, needs_ffmpeg, pictures, prepare, shell

from vqcodec.cli import main
from vqcodec.media.source import VideoSource
from vqcodec.media.source_choice import SourceChoice
from vqcodec.options import Time
from vqcodec.system.stdio import CountedPipe


@pytest.mark.parametrize("ten_bit", [False, True])
@pytest.mark.usefixtures("fake_network")
def test_y4m_through_pipes(tmp_path: Path, ten_bit: bool) -> None:
    want = [picture(34, 18, i, ten_bit) for i in range(20)]
    write(tmp_path / "in.y4m", header(34, 18, sar=Fraction(4, 3), range=2), want)
    assert codes(
        shell(
            "cat in.y4m | vqcodec encode -q - - | tee pipe.vqv | vqcodec decode -q - - > out.y4m",
            tmp_path,
        )
    ) == [0, 0, 0, 0]
    assert (tmp_path / "out.y4m").read_bytes() == (tmp_path / "in.y4m").read_bytes()
    prepare(tmp_path, "encode -q in.y4m file.vqv")
    assert (tmp_path / "file.vqv").read_bytes() == (tmp_path / "pipe.vqv").read_bytes() != b""
    assert all(same(a, b) for a, b in zip(want, pictures(tmp_path / "out.y4m"), strict=True))


@needs_ffmpeg
def test_real_ffmpeg_on_both_ends(tmp_path: Path) -> None:
    make(tmp_path / "in.mkv", frames=30, codec="ffv1")
    command = "ffmpeg -v error -i in.mkv -f yuv4mpegpipe - | vqcodec encode -q - out.vqv"
    assert codes(shell(command, tmp_path)) == [0, 0]
    assert codes(
        shell("vqcodec decode -q out.vqv - | ffmpeg -v error -i - -c:v ffv1 out.mkv", tmp_path)
    ) == [0, 0]
    a, b = pictures(tmp_path / "in.mkv"), pictures(tmp_path / "out.mkv")
    assert len(a) == 30
    assert all(same(x, y) for x, y in zip(a, b, strict=True))
    assert listing(tmp_path / "out.mkv")["times"] == listing(tmp_path / "in.mkv")["times"]


@needs_ffmpeg
@pytest.mark.parametrize(
    "fmt",
    [
        "yuv422p",
        pytest.param("yuv444p", marks=pytest.mark.slow),
        "gray",
        pytest.param("yuv420p10le", marks=pytest.mark.slow),
    ],
)
def test_pixel_formats_of_ffmpegs_y4m(tmp_path: Path, fmt: str) -> None:
    make(tmp_path / "in.mkv", frames=3, codec="ffv1", fmt=fmt)
    result = shell(
        f"ffmpeg -v error -i in.mkv -strict -1 -pix_fmt {fmt} -f yuv4mpegpipe - | "
        "vqcodec encode - out.vqv",
        tmp_path,
    )
    assert codes(result) == [0, 0]
    assert "damaged" not in result.stderr
    assert codes(
        shell(
            f"vqcodec decode -q out.vqv - -pix_fmt {fmt} | "
            f"ffmpeg -v error -i - -c:v ffv1 -pix_fmt {fmt} out.mkv",
            tmp_path,
        )
    ) == [0, 0]
    got = listing(tmp_path / "out.mkv")
    assert len(got["times"]) == 3
    assert got["size"] == (64, 48)
    assert got["bits"] == (10 if "10" in fmt else 8)


def test_other_files_through_standard_input(tmp_path: Path) -> None:
    """What isn't y4m is copied to a temporary file first, so mp4 with its index at the end works,
    with all its tracks."""
    source = make_named(tmp_path, "all.mp4")
    (tmp_path / "tmp").mkdir()
    assert codes(
        shell(
            "cat all.mp4 | vqcodec encode -q - - | vqcodec decode -q - out.mp4",
            tmp_path,
            TMPDIR=str(tmp_path / "tmp"),
        )
    ) == [0, 0, 0]
    assert files_in(tmp_path / "tmp") == []
    want, got = listing(source), listing(tmp_path / "out.mp4")
    assert got["tracks"] == want["tracks"]
    assert got["tags"] == want["tags"]
    assert got["times"] == want["times"]


@pytest.mark.usefixtures("fake_network")
def test_named_pipes_and_process_substitution(tmp_path: Path) -> None:
    """A pipe has no length, and was once taken for an empty file."""
    make_named(tmp_path, "two_audio.mp4")
    write(tmp_path / "in.y4m", header(16, 16), [picture(16, 16, i) for i in range(9)])
    command = (
        "vqcodec encode -q <(cat in.y4m) a.vqv && vqcodec decode -q <(cat a.vqv) a.y4m && "
        "vqcodec encode -q <(cat two_audio.mp4) b.vqv"
    )
    assert codes(shell(command, tmp_path)) == [0]
    prepare(tmp_path, "decode -q b.vqv b.mp4")
    assert (tmp_path / "a.y4m").read_bytes() == (tmp_path / "in.y4m").read_bytes()
    assert listing(tmp_path / "b.mp4")["tracks"] == listing(tmp_path / "two_audio.mp4")["tracks"]


@pytest.mark.usefixtures("fake_network")
def test_info_and_verify_read_standard_input(tmp_path: Path) -> None:
    make_named(tmp_path, "one_frame.mp4")
    prepare(tmp_path, "encode -q one_frame.mp4 a.vqv")
    result = shell(
        "vqcodec info - < a.vqv; cat a.vqv | vqcodec verify - | cat; "
        "cat a.vqv | vqcodec verify --fast -",
        tmp_path,
    )
    assert codes(result) == [0, 0]
    assert "1 frame in 1 GOP" in result.stdout


@pytest.mark.usefixtures("fake_network")
def test_a_reader_that_stops_early(tmp_path: Path) -> None:
    write(tmp_path / "in.y4m", header(64, 64), [picture(64, 64, i) for i in range(40)])
    prepare(tmp_path, "encode -q in.y4m a.vqv")
    result = shell("vqcodec decode a.vqv - | head -c 1000", tmp_path)
    assert codes(result) == [141, 0]
    assert "Exception" not in result.stderr
    assert "Broken" not in result.stderr
    result = shell("vqcodec encode in.y4m - -g 5 | head -c 100", tmp_path)
    assert codes(result)[0] in (0, 141)
    assert "Exception" not in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.vqv", "in.y4m"]


def test_standard_output_carries_data_only(tmp_path: Path) -> None:
    write(tmp_path / "in.y4m", header(16, 16), [picture(16, 16, i) for i in range(3)])
    result = shell(
        "vqcodec encode -y in.y4m a.vqv; vqcodec decode a.vqv out.y4m; "
        "vqcodec decode a.vqv - --progress json -v > b.y4m",
        tmp_path,
    )
    assert result.stdout == "codes 0\n"
    assert (tmp_path / "b.y4m").read_bytes() == (tmp_path / "in.y4m").read_bytes()


def test_standard_input_is_read_for_the_dash_only(tmp_path: Path) -> None:
    write(tmp_path / "in.y4m", header(16, 16), [picture(16, 16)])
    command = (
        "printf 'one\\ntwo\\n' | { vqcodec encode -q in.y4m a.vqv; vqcodec decode -q a.vqv b.y4m; "
        "vqcodec info a.vqv > info; vqcodec verify a.vqv > verify; cat; }"
    )
    assert shell(command, tmp_path).stdout.startswith("one\ntwo\n")


def test_spans_through_pipes(tmp_path: Path) -> None:
    want = [picture(16, 16, i) for i in range(40)]
    write(tmp_path / "in.y4m", header(16, 16), want)
    result = shell(
        "vqcodec encode -q -ss 0.4 -t 20f - - < in.y4m | "
        "vqcodec decode -q -ss 5f -to 15f - - > out.y4m",
        tmp_path,
    )
    assert codes(result) == [0, 0]
    assert all(same(a, b) for a, b in zip(pictures(tmp_path / "out.y4m"), want[15:25], strict=True))


def test_a_cut_pipe_ends_in_code_4(tmp_path: Path) -> None:
    path = write(tmp_path / "in.y4m", header(16, 16), [picture(16, 16, i) for i in range(5)])
    path.write_bytes(path.read_bytes()[:-7])
    result = shell("cat in.y4m | vqcodec encode -q - cut.vqv", tmp_path)
    assert codes(result) == [0, 4]
    assert "ends within a frame" in result.stderr
    assert (tmp_path / "cut.vqv").exists()
    assert codes(shell("cat in.y4m | vqcodec encode --strict -q - strict.vqv", tmp_path)) == [0, 4]
    assert not (tmp_path / "strict.vqv").exists()


@pytest.mark.parametrize("fmt", ["420", "422", "444", "mono", "420p10", "422p10"])
@pytest.mark.parametrize("pipe", [False, True])
def test_a_y4m_cut_in_its_last_frame_is_noticed(tmp_path: Path, fmt: str, pipe: bool) -> None:
    size = {"420": 384, "422": 512, "444": 768, "mono": 256, "420p10": 768, "422p10": 1024}[fmt]
    whole = (
        b"YUV4MPEG2 W16 H16 F25:1 Ip A1:1 C"
        + fmt.encode()
        + b"\n"
        + b"".join(b"FRAME\n" + bytes([1]) * size for i in range(5))
    )
    for cut in (0, 1, 7, size - 1, size, size + 5, size + 6):
        (tmp_path / "in.y4m").write_bytes(whole[: len(whole) - cut])
        with (
            (tmp_path / "in.y4m").open("rb") as f,
            VideoSource(tmp_path / "in.y4m", pipe=CountedPipe(f) if pipe else None) as source,
        ):
            assert len(list(source)) == (4 if cut else 5)
            assert source.corrupt == (0 if cut in (0, size + 6) else 1), cut


def test_refused_pipes(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no video\n" * 20)
    for command, code, text in (
        ("vqcodec encode - a.vqv < /dev/null", 3, "empty"),
        ("vqcodec encode - a.vqv < text", 3, "-: no video"),
        ("vqcodec decode - a.mp4 < text", 3, "not a .vqv"),
        ("vqcodec encode - a.vqv <&-", 3, "closed"),
        ("vqcodec decode text - >&-", 5, "closed"),
    ):
        result = shell(command, tmp_path)
        assert codes(result) == [code], (command, result.stderr)
        assert text in result.stderr, (command, result.stderr)
        assert "internal" not in result.stderr, (command, result.stderr)
    assert not (tmp_path / "a.vqv").exists()


@pytest.mark.skipif(os.name != "posix", reason="terminals")
@pytest.mark.usefixtures("fake_network")
def test_no_binary_data_to_or_from_a_terminal(tmp_path: Path) -> None:
    import pty

    make_named(tmp_path, "one_frame.mp4")
    prepare(tmp_path, "encode -q one_frame.mp4 a.vqv")
    master, slave = pty.openpty()
    environment = os.environ | {"PYTHONPATH": PYTHONPATH}
    try:
        for args in (
            ["decode", "a.vqv", "-"],
            ["encode", "one_frame.mp4", "-"],
            ["encode", "-", "b.vqv"],
            ["decode", "-", "b.mp4"],
        ):
            command = [sys.executable, str(SUPPORT / "standin.py"), *args]
            result = subprocess.run(
                command,
                cwd=tmp_path,
                stdin=slave,
                stdout=slave,
                stderr=subprocess.PIPE,
                text=True,
                timeout=PATIENCE,
                env=environment,
            )
            assert result.returncode == 2
            assert "terminal" in result.stderr
    finally:
        os.close(master)
        os.close(slave)


def test_a_full_disk_behind_standard_output(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    write(tmp_path / "in.y4m", header(64, 64), [picture(64, 64, i) for i in range(20)])
    result = shell(
        "vqcodec encode -q in.y4m - | tee a.vqv | vqcodec decode - - > /dev/full", tmp_path
    )
    assert codes(result) == [0, 0, 5]
    assert "standard output cannot be written" in result.stderr
    result = shell("vqcodec encode in.y4m - > /dev/full", tmp_path)
    assert codes(result) == [5]
    assert "standard output cannot be written" in result.stderr


@pytest.mark.parametrize(("name", "told"), [("vfr.mkv", True), ("no_audio.mkv", False)])
def test_times_that_y4m_cannot_hold_are_told(
    tmp_path: Path,
    name: str,
    told: bool,
    fake_network: object,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_named(tmp_path, name)
    assert main(["encode", "-q", str(tmp_path / name), str(tmp_path / "a.vqv")]) == 0
    assert main(["decode", str(tmp_path / "a.vqv"), str(tmp_path / "a.y4m")]) == 0
    assert ("holds no times" in capsys.readouterr().err) == told


NAMES = [
    "a b.mkv",
    "new\nline.mkv",
    "-dash.mkv",
    "\U0001f3ac.mkv",
    "'quote\".mkv",
    "$HOME.mkv",
    "back\\slash.mkv",
    "%d.mkv",
    "file:x.mkv",
    "*.mkv",
    "pipe:0.mkv",
]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_all_the_way(
    tmp_path: Path,
    name: str,
    fake_network: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make(tmp_path / "plain.mkv", frames=3, sounds=(Sound(),))
    (tmp_path / "plain.mkv").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for command in (
        ["encode", "-q", "--", name, f"{name}.vqv"],
        ["decode", "-q", "--", f"{name}.vqv", f"out{name}"],
        ["info", "--", f"{name}.vqv"],
    ):
        assert main(command) == 0
    assert listing(tmp_path / f"out{name}")["tracks"] == listing(tmp_path / name)["tracks"]


def test_while_read_loops(tmp_path: Path) -> None:
    """A program that reads standard input unasked would eat the list of names."""
    make(tmp_path / "0.mkv", frames=2)
    for name in ("-two three\U0001f3ac",):
        shutil.copy(tmp_path / "0.mkv", tmp_path / f"{name}.mkv")
    command = (
        'printf "%s\\n" *.mkv | while read -r f; do vqcodec encode -q -- "$f" "$f.vqv" && '
        'vqcodec decode -q -- "$f.vqv" "$f.mp4"; done'
    )
    assert codes(shell(command, tmp_path)) == [0, 0]
    assert len(list(tmp_path.glob("*.vqv"))) == 2 == len(list(tmp_path.glob("*.mp4")))


def test_a_file_named_dash(
    tmp_path: Path,
    fake_network: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make(tmp_path / "in.mkv", frames=2)
    monkeypatch.chdir(tmp_path)
    assert [
        main(c)
        for c in (
            ["encode", "-q", "in.mkv", "./-"],
            ["info", "./-"],
            ["decode", "-q", "./-", "out.mkv"],
        )
    ] == [0, 0, 0]
    assert (tmp_path / "-").exists()


def _peak(result: subprocess.CompletedProcess[str]) -> list[int]:
    return [int(n) for n in re.findall(r"peak (\d+)", result.stderr)]


def test_memory_of_pipes_does_not_grow_with_length(tmp_path: Path) -> None:
    """Peak memory of encode and decode for 200 and 1500 frames: at most 5 percent apart."""
    peaks = []
    size = 96 * 96 * 3 // 2
    for n in (200, 1500):
        head = "w(b'YUV4MPEG2 W96 H96 F25:1 C420jpeg\\n')"
        loop = f"[w(b'FRAME\\n' + bytes([i % 7]) * {size}) for i in range({n})]"
        frames = f'python3 -c "import sys; w = sys.stdout.buffer.write; {head}; {loop}"'
        result = shell(
            f"{frames} | vqcodec encode -preset fastest -g 16 --progress none - - | "
            "vqcodec decode --progress none - - | wc -c",
            tmp_path,
        )
        assert codes(result) == [0, 0, 0, 0]
        assert result.stdout.startswith(
            str(n * (size + 6) + len("YUV4MPEG2 W96 H96 F25:1 Ip A0:0 C420jpeg\n"))
        )
        peaks.append(sorted(_peak(result)))
    for short, long in zip(*peaks, strict=True):
        assert long <= short * 1.05, peaks


@pytest.mark.slow
def test_memory_does_not_grow_with_tracks(tmp_path: Path) -> None:
    """Peak memory with 3 and with 60 minutes of uncompressed sound (17 and 345 MB): at most 5
    percent apart."""
    peaks = []
    for minutes in (3, 60):
        make(
            tmp_path / "in.mkv",
            size=(16, 16),
            frames=minutes * 60,
            rate=1,
            codec="ffv1",
            sounds=(Sound("pcm_s16le", 48000, "mono"),),
            options={"slices": "1"},
        )
        result = shell(
            "vqcodec encode --progress none -y in.mkv a.vqv; "
            "vqcodec decode --progress none -y a.vqv out.mkv --vcodec ffv1",
            tmp_path,
        )
        assert codes(result) == [0], result.stderr
        peaks.append(_peak(result))
        assert (tmp_path / "out.mkv").stat().st_size > minutes * 60 * 96000
    for short, long in zip(*peaks, strict=True):
        assert long <= short * 1.05, peaks


def test_counted_pipe() -> None:
    import io

    pipe = CountedPipe(io.BufferedReader(io.BytesIO(b"456789")), b"123")  # type: ignore[arg-type]
    assert [pipe.read(2), pipe.read(2), pipe.read(100), pipe.read(5)] == [
        b"12",
        b"3",
        b"456789",
        b"",
    ]
    assert pipe.count == 9
    assert pipe.start == b"123456789"


def test_start_of_a_pipe_is_not_sought(tmp_path: Path) -> None:
    path = write(tmp_path / "in.y4m", header(16, 16), [picture(16, 16, i) for i in range(30)])
    with (
        path.open("rb") as f,
        VideoSource("-", SourceChoice(Time(seconds=Fraction(1))), pipe=CountedPipe(f)) as source,
    ):
        assert len(list(source)) == 5
        assert source.corrupt == 0


@pytest.mark.usefixtures("fake_network")
def test_strict_writes_nothing_into_a_pipe_either(tmp_path: Path) -> None:
    """Damage in the last GOP shows when the pictures before it are decoded."""
    write(tmp_path / "in.y4m", header(34, 18), [picture(34, 18, i) for i in range(30)])
    prepare(tmp_path, "encode -q -g 10 in.y4m a.vqv")
    data = (tmp_path / "a.vqv").read_bytes()
    from vqcodec.container.reader import ContainerReader

    with (tmp_path / "a.vqv").open("rb") as f:
        last = ContainerReader.open(f).gops[-1].offset
    for suffix, form in ((".y4m", ""), (".mkv", "-f matroska")):
        (tmp_path / "a.vqv").write_bytes(data)
        whole = f"vqcodec decode -q --strict a.vqv {form} - > whole{suffix}"
        assert codes(shell(whole, tmp_path)) == [0]
        assert len(pictures(tmp_path / f"whole{suffix}")) == 30
        (tmp_path / "a.vqv").write_bytes(
            data[: last + 60] + bytes([data[last + 60] ^ 1]) + data[last + 61 :]
        )
        damaged = f"vqcodec decode -q --strict a.vqv {form} - > out{suffix}"
        assert codes(shell(damaged, tmp_path)) == [4]
        assert (tmp_path / f"out{suffix}").read_bytes() == b""
    cut = (tmp_path / "in.y4m").read_bytes()[:-100]
    (tmp_path / "cut.y4m").write_bytes(cut)
    assert codes(shell("vqcodec encode -q --strict cut.y4m - > out.vqv", tmp_path)) == [4]
    assert (tmp_path / "out.vqv").read_bytes() == b""
