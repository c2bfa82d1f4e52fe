"""What an output cannot hold is a warning, which -q shows too; kinds of outputs and of inputs by
name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import av
import pytest
from support.fake_network import fake_network  # noqa: F401
from support.media import Sound, listing, make

from vqcodec.cli import main
from vqcodec.errors import InputError, UsageError
from vqcodec.media.encoder_options import combined
from vqcodec.media.output_formats import kind_of, suffixes
from vqcodec.media.source import VideoSource
from vqcodec.media.source_choice import SourceChoice
from vqcodec.pipeline.decode import decode

pytestmark = pytest.mark.usefixtures("fake_network")


@pytest.fixture
def rich(tmp_path: Path) -> Path:
    """A .vqv file with sound, texts, an attachment, chapters, tags and a turn."""
    source = make(
        tmp_path / "rich.mkv",
        frames=5,
        chapters=True,
        rotation=90,
        tags={"title": "a title", "my own": "tag"},
        sounds=(Sound(),),
        subtitles=(("ass", {}),),
        attachments=(("notes.txt", "text/plain", b"text"),),
    )
    coded = tmp_path / "rich.vqv"
    assert main(["encode", "-q", str(source), str(coded)]) == 0
    return coded


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.mkv", []),
        ("a.mp4", ["(subtitle, ", ".mp4 holds no attachments"]),
        ("a.ts", ["the rotation by 90 degrees, 2 chapters, 1 tag (", "holds no attachments"]),
        ("a.y4m", ["3 tracks, the rotation by 90 degrees, 2 chapters, 2 tags ("]),
    ],
)
def test_what_an_output_cannot_hold_is_said_even_by_a_quiet_run(
    tmp_path: Path, rich: Path, capsys: pytest.CaptureFixture[str], name: str, words: list[str]
) -> None:
    capsys.readouterr()
    assert main(["decode", "-q", str(rich), str(tmp_path / name)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert bool(lines) == bool(words)
    assert all(line.startswith(f"vqcodec: warning: {tmp_path / name}: ") for line in lines)
    for word in words:
        assert any(word in line for line in lines), (word, lines)
    report = decode(rich, tmp_path / name, overwrite=True)
    assert len(report.warnings) == len(lines)
    assert not report.lost
    assert report.ok


def test_what_was_not_wanted_is_no_loss(
    tmp_path: Path, rich: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    choice = ["-map", "0:v"]
    assert main(["decode", "-q", str(rich), str(tmp_path / "a.y4m"), *choice]) == 0
    assert " track" not in capsys.readouterr().err


def test_losses_of_an_encode_are_said_even_by_a_quiet_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make(tmp_path / "a.mkv", frames=3, codec="ffv1", fmt="yuva420p")
    assert main(["encode", "-q", str(source), str(tmp_path / "a.vqv")]) == 0
    assert "warning: " in (said := capsys.readouterr().err)
    assert "transparency" in said


def test_suffixes_are_those_of_ffmpegs_muxers(tmp_path: Path, rich: Path) -> None:
    """.m2ts was unknown, though FFmpeg writes it: packets with four bytes before them."""
    for suffix in (".ts", ".mts", ".m2t", ".m2ts"):
        out = tmp_path / f"a{suffix}"
        assert kind_of(out) == ".ts"
        decode(rich, out)
        assert out.read_bytes()[4 if suffix == ".m2ts" else 0] == 0x47
        with VideoSource(out) as source:
            assert len(list(source)) == 5
            assert not source.corrupt
        assert [t["codec"] for t in listing(out)["tracks"]] == ["aac"]
    assert not {".m4a", ".rgb", ".mka"} & suffixes().keys()
    with pytest.raises(UsageError, match=r"\.m2ts"):
        kind_of("a.xyz")


PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("part.mov", ""),
        ("gone.mov", "it names {}/gone.mov, and there is no such file"),
        ("gone.ts", "it names {}/gone.ts, and there is no such file"),
        ("part.txt", "part.txt, whose suffix"),
    ],
)
def test_a_playlist_fails_for_what_it_names(tmp_path: Path, named: str, why: str) -> None:
    """A missing .mov was said to have no index, which is what FFmpeg sees in its place."""
    make(tmp_path / "part.mov", frames=3)
    (tmp_path / "part.txt").write_bytes(b"")
    listed = tmp_path / "a.m3u8"
    listed.write_text(PLAYLIST.format(named))
    if not why:
        with VideoSource(listed, SourceChoice(playlists=True)) as source:
            assert len(list(source)) == 3
            assert not source.corrupt  # its lengths are rounded: no damage
        return
    with pytest.raises(InputError) as caught:
        VideoSource(listed, SourceChoice(playlists=True))
    assert why.format(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.pls", "[playlist]\nFile1=a.mkv\nNumberOfEntries=1\nVersion=2\n"),
        ("a.mkv", "[playlist]\nFile1=a.mkv\nNumberOfEntries=1\nVersion=2\n"),
        ("a.m3u", "a.mkv\n"),
        ("a.xspf", '<?xml version="1.0"?><playlist xmlns="http://xspf.org/ns/0/"></playlist>'),
        ("a.asx", '<asx version="3.0"><entry><ref href="a.mkv"/></entry></asx>'),
    ],
)
def test_playlists_of_players_are_called_so(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="playlist of players, which names other files"):
        VideoSource(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("concat:a.mkv|b.mkv", "concat: is a protocol .* --allow-playlists reads"),
        ("subfile,,start,0,end,9,,:a.mkv", "subfile: is a protocol"),
        ("lavfi:testsrc", "ffmpeg -f lavfi -i testsrc"),
        ("hls+file:a.m3u8", "hls: is a protocol .* --allow-playlists"),
        ("hls+http://localhost/a", "addresses are not read"),
        ("pipe:0", "pipe: is a protocol"),
        ("no:such", "no such file"),
    ],
)
def test_names_that_ffmpeg_would_open_otherwise(
    name: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encode", "-q", name, "out.vqv"]) == 3
    assert re.search(words, capsys.readouterr().err)
    with pytest.raises(InputError):
        VideoSource(name)


def test_lists_within_options_go_on() -> None:
    parts = [{"crf": "12", "x264-params": "asm=avx2"}, {"x264-params": "bframes=0", "crf": "3"}]
    assert combined(parts) == {"crf": "3", "x264-params": "asm=avx2:bframes=0"}


WRITE = """
import sys
from support.clips import header, moving, write
write(sys.argv[1], header(336, 192), moving(336, 192, 10))
"""


def test_the_same_pictures_give_the_same_bytes(tmp_path: Path) -> None:
    """Whatever lies in memory before. With AVX-512 x264 reads some that it has not written, at
    widths of, say, 21 macroblocks; elsewhere this cannot fail."""
    written = set()
    for fill in ("0", "1", "85"):  # glibc puts it into memory that is given out
        out = tmp_path / f"{fill}.mkv"
        environment = os.environ | {"MALLOC_PERTURB_": fill}
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        subprocess.run([sys.executable, "-c", WRITE, str(out)], env=environment, check=True)
        with av.open(str(out)) as container:
            written.add(b"".join(bytes(p) for p in container.demux(video=0)))
    assert len(written) == 1
