"""A file that must not be read and an address that must not be asked, beside what is decoded."""

from __future__ import annotations

import socket
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Disposition

from support.media import make
from vqcodec.container.tracks import KINDS, Track

_PIECE = 48  # bytes of a packet by which it is found again


class Canary:
    """``path`` is a small video, of another codec than any output; ``address`` answers nobody, and
    knows who asked."""

    def __init__(self, folder: Path) -> None:
        self.path = make(folder / "canary.ts", size=(64, 64), frames=30, codec="mpeg2video")
        with av.open(str(self.path)) as c:
            packets = [bytes(p) for p in c.demux() if p.size > 2 * _PIECE]
        self._pieces = [p[len(p) // 2 :][:_PIECE] for p in packets]
        assert self._pieces
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"

    def asked(self) -> bool:
        """Whether somebody has connected since this was last asked."""
        count = 0
        try:
            while True:
                self._server.accept()[0].close()
                count += 1
        except BlockingIOError:
            return count > 0

    def is_in(self, output: Path) -> bool:
        """Whether bytes of the file are in an output."""
        data = output.read_bytes()
        return any(piece in data for piece in self._pieces)

    def close(self) -> None:
        self._server.close()

    def hostile(self) -> list[Track]:
        """Tracks whose samples name the file and the address, in the words of FFmpeg's demuxers."""
        hls = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n"
        samples = [
            ("hls", hls.format(self.path.as_uri())),
            ("hls", hls.format(f"http://{self.address}/a.ts")),
            ("concat", f"ffconcat version 1.0\nfile '{self.path}'\n"),
            ("lavfi", f"movie={self.path}"),
            ("sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nt=0 0\nm=video 5004 RTP/AVP 26\n"),
            ("image2", str(self.path)),
        ]
        made = []
        for number, (kind, sample) in enumerate(samples):
            for cover in (int(Disposition.attached_pic), 0):
                n = 20 + 2 * number + bool(cover)
                codec = "mjpeg" if cover else "aac"
                of = KINDS[0] if cover else KINDS[1]
                made.append(
                    Track(n, of, codec, Fraction(1, 1000), cover, {}, kind, sample.encode())
                )
        return made
