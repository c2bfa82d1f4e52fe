"""What a file from outside must not do to whoever opens it: docs/security.md, point by point."""

from __future__ import annotations

import ast
import io
import re
import resource
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import pytest
from av.stream import Disposition
from support.media import Sound, make

from vqcodec.cli import main
from vqcodec.container.tracks import KINDS, Track, TrackPacket
from vqcodec.errors import InputError
from vqcodec.media import inputs
from vqcodec.media.inputs import SAMPLE_FORMATS, open_sample
from vqcodec.media.track_muxer import TrackMuxer
from vqcodec.options import EncodeOptions, TrackChoice
from vqcodec.pipeline.encode import encode

pytestmark = pytest.mark.usefixtures("fake_network")


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    """Address of a server on this machine, and what it was asked for."""
    hits: list[str] = []

    class Canary(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hits.append(self.path)
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Canary)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", hits
    server.shutdown()
    server.server_close()


def lists(secret: Path, address: str) -> dict[str, bytes]:
    """Kinds of files that name others: what they name is a file on this disk, or an address."""
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4">'
        "<Representation id='1' bandwidth='1'><BaseURL>{}</BaseURL></Representation>"
        "</AdaptationSet></Period></MPD>"
    )
    sdp = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 26\n"
    return {
        "hls": hls.format(secret.as_uri()).encode(),
        "applehttp": hls.format(f"{address}/hls.ts").encode(),
        "concat": f"ffconcat version 1.0\nfile '{secret}'\n".encode(),
        "dash": dash.format(f"{address}/dash").encode(),
        "imf": b'<?xml version="1.0"?><CompositionPlaylist></CompositionPlaylist>',
        "sdp": sdp.encode(),
        "rtsp": f"rtsp://{address[7:]}/".encode(),
        "lavfi": f"movie={secret}".encode(),
        "image2": str(secret).encode(),
        "vobsub": b"# VobSub index file, v7 (do not modify this line!)\n",
        "ffmetadata": b";FFMETADATA1\ntitle=x\n",
        "nosuch": b"x",
        "": b"",
    }


def left_out(track: Track, suffix: str, kind: str) -> bytes:
    """The output of a muxer that must leave a track out, with a note."""
    target = io.BytesIO()
    with av.open(target, "w", format=kind) as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width = video.height = 16
        video.pix_fmt = "yuv420p"
        muxer = TrackMuxer(out, suffix, [track], TrackChoice())
        out.start_encoding()
        muxer.write(TrackPacket(0, 0, 0, 10, True, False, (), b"data"), Fraction(0))
        for packet in video.encode(av.VideoFrame(16, 16, "yuv420p")) + video.encode(None):
            out.mux(packet)
        assert len(muxer.warnings) == 1, track
        assert "is left out" in muxer.warnings[0], track
        muxer.close()
    with av.open(io.BytesIO(target.getvalue())) as made:
        assert len(made.streams) == 1
        assert len(list(made.decode(video=0))) == 1
    return target.getvalue()


@pytest.mark.parametrize("cover", [False, True])
@pytest.mark.parametrize(("suffix", "kind"), [(".mkv", "matroska"), (".mp4", "mp4")])
def test_a_track_chooses_none_of_ffmpegs_demuxers(
    tmp_path: Path, asked: tuple[str, list[str]], suffix: str, kind: str, cover: bool
) -> None:
    """A cover was once opened by whatever demuxer the file named: local files, the network."""
    address, hits = asked
    secret = make(tmp_path / "secret.ts", frames=40)
    with av.open(str(secret)) as c:
        packets = [bytes(p) for p in c.demux() if p.size]
    disposition = int(Disposition.attached_pic) if cover else 0
    for name, sample in lists(secret, address).items():
        for of in KINDS[:4]:
            track = Track(0, of, "mjpeg", Fraction(1, 1000), disposition, {}, name, sample)
            made = left_out(track, suffix, kind)
            assert not any(p in made for p in packets), name
        # the same bytes under a name that is allowed
        for allowed in SAMPLE_FORMATS:
            track = Track(0, "video", "mjpeg", Fraction(1, 1000), disposition, {}, allowed, sample)
            left_out(track, suffix, kind)
    assert not hits


def test_the_door_itself_is_shut(tmp_path: Path) -> None:
    """Not only the muxer asks before it opens a sample."""
    for name in ("hls", "concat", "sdp", "lavfi", "mp4,hls", "matroska,webm", "wav", ""):
        with pytest.raises(ValueError, match="samples are of no kind"):
            open_sample(name, b"")
    # a demuxer of the five that is made to open another file may not
    movie = make(tmp_path / "a.mov", frames=20).read_bytes()
    with open_sample("mov", movie) as sample:
        assert [s.type for s in sample.streams] == ["video"]


def test_a_sample_is_no_bomb() -> None:
    """A compressed index of QuickTime once became a thousand times as long in memory."""

    def atom(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", 8 + len(data)) + kind + data

    size = 256 << 20
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()
    index = atom(b"cmov", atom(b"dcom", b"zlib") + atom(b"cmvd", struct.pack(">I", size) + packed))
    movie = atom(b"ftyp", b"qt  \0\0\0\0qt  ") + atom(b"moov", index)
    assert len(movie) < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for kind in SAMPLE_FORMATS:
        with suppress(ValueError, av.error.FFmpegError):
            open_sample(kind, movie).close()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def sources(folder: Path, secret: Path, address: str) -> list[Path]:
    """The lists as files, some under names that say nothing of what they are."""
    made = []
    for kind, data in lists(secret, address).items():
        for name in (f"{kind or 'none'}.mp4", {"hls": "a.m3u8", "dash": "a.mpd"}.get(kind, "")):
            if name:
                made.append(folder / name)
                made[-1].write_bytes(data)
    made.append(folder / "sibling.ffconcat")
    made[-1].write_text(f"ffconcat version 1.0\nfile {secret.name}\n")
    return made


def test_sources_that_name_other_files_are_refused(
    tmp_path: Path, asked: tuple[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    """An upload must not publish what lies beside it, nor make the program ask the network."""
    address, hits = asked
    secret = make(tmp_path / "secret.ts", frames=40)
    for path in sources(tmp_path, secret, address):
        capsys.readouterr()
        assert main(["encode", "-q", str(path), str(tmp_path / "out.vqv")]) == 3, path
        said = capsys.readouterr().err
        assert path.name in said
        if any(kind in path.name for kind in ("hls", "concat", "m3u8", "mpd")):
            assert "names other files: --allow-playlists reads" in said
        assert not (tmp_path / "out.vqv").exists()
    assert not hits


def test_playlists_are_read_when_asked_for(tmp_path: Path, asked: tuple[str, list[str]]) -> None:
    """With all their pictures and sound; addresses are not followed even then."""
    address, hits = asked
    part = make(tmp_path / "part.ts", frames=10, sounds=(Sound("aac"),))
    (tmp_path / "a.ffconcat").write_text("ffconcat version 1.0\n" + f"file {part.name}\n" * 2)
    options = EncodeOptions(playlists=True)
    report = encode(str(tmp_path / "a.ffconcat"), str(tmp_path / "a.vqv"), options)
    assert report.frames == 20
    assert report.tracks == 1
    (tmp_path / "b.m3u8").write_bytes(lists(part, address)["applehttp"])
    with pytest.raises(InputError):
        encode(str(tmp_path / "b.m3u8"), str(tmp_path / "b.vqv"), options)
    assert not hits


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        (
            "a.m3u8",
            "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
            "Protocol 'http' not",
        ),
        (
            "a.ffconcat",
            "ffconcat version 1.0\nfile /etc/passwd\n",
            "Unsafe file name '/etc/passwd'",
        ),
    ],
)
def test_an_allowed_playlist_fails_for_its_own_reason(
    name: str, text: str, why: str, tmp_path: Path
) -> None:
    """Not for that of the refusal that --allow-playlists has lifted."""
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        encode(str(tmp_path / name), str(tmp_path / "a.vqv"), EncodeOptions(playlists=True))
    assert why in str(caught.value)


def test_only_one_module_opens_what_comes_from_outside() -> None:
    """A new call of FFmpeg's demuxers goes through the door as well, in training too."""
    package = Path(inputs.__file__).parents[1]
    for path in package.rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if re.search(r"\bav\b", text) else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "av.open",
                "av.container.open",
            ):
                writes = len(node.args) > 1 and ast.unparse(node.args[1]) == "'w'"
                assert writes or path == Path(inputs.__file__), f"{path}:{node.lineno}"
