"""Stand-ins for the modules that run networks: bodies are compressed 10-bit planes."""

from __future__ import annotations

import os
import signal
import sys
import time
import types
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from support import plain_kernels
from vqcodec.encoding import horizon
from vqcodec.errors import DamageError
from vqcodec.fields import crc32
from vqcodec.picture import Picture
from vqcodec.picture_size import chroma_size
from vqcodec.system.memory import check_room

MODEL_ID = b"fakemode"


def note_peak(who: str) -> None:
    """Append the peak memory of this process in KiB to the file that PEAKS names, if it does."""
    if "PEAKS" in os.environ:
        # the figure that the system gives to a parent begins with the parent's own size
        peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
        with Path(os.environ["PEAKS"]).open("a") as file:
            file.write(f"{who} {peak}\n")


class GopResult(NamedTuple):
    body: bytes
    frames: int
    checksum: int
    sse: tuple[float, float, float]
    stats: list[dict]


def checksum_update(crc: int, pic10: Picture) -> int:
    return crc32(crc.to_bytes(4, "little"), *(p.tobytes() for p in pic10))


class GopEncoder:
    log: list[list[int]] = []  # sizes of the mini-GOPs of every GOP
    fail_after: int | None = None
    wrong_checksum = False

    def __init__(
        self,
        codec: Any,
        width: int,
        height: int,
        crf: float,
        rate: Any = None,
        stats: bool = True,
        observer: Any = None,
    ) -> None:
        self._planes: list[bytes] = []
        self._crc = 0
        self._lengths: list[int] = []  # of the mini-GOPs
        GopEncoder.log.append([])

    def tell(self, frames: int) -> None:
        """Nobody listens, unless something else is put in its place."""

    def add(self, pictures: list[Picture]) -> None:
        GopEncoder.log[-1].append(len(pictures))
        self._lengths.append(len(pictures))
        for picture in pictures:
            if (
                GopEncoder.fail_after is not None
                and sum(map(sum, GopEncoder.log)) > GopEncoder.fail_after
            ):
                raise RuntimeError("network failed")
            ten = picture.to10()
            self._crc = checksum_update(self._crc, ten)
            self._planes += [p.tobytes() for p in ten]
            self.tell(len(self._planes) // 3)

    def step(self) -> bool:
        """Pictures are coded when they are added."""
        return False

    def close(self) -> None:
        """Nothing runs by itself."""

    def coded(self, cut: bool) -> int:
        """Frames of the result; a cut leaves out what only the look-ahead of a probe has seen."""
        ready = horizon.ready(self._lengths)
        return sum(self._lengths[:ready] if cut and ready > 1 else self._lengths)

    def finish(self, cut: bool = False) -> GopResult:
        note_peak("worker")
        n = self.coded(cut)
        del self._planes[3 * n :]
        crc = self._crc ^ 1 if GopEncoder.wrong_checksum else self._crc
        return GopResult(
            zlib.compress(b"".join(self._planes), 1),
            n,
            crc,
            (n * 100.4, 10.0, 20.0),
            [{"frame": i, "type": "I" if i == 0 else "B"} for i in range(n)],
        )


def decode_gop(
    codec: Any,
    body: bytes,
    frames: int,
    width: int,
    height: int,
    batch: int = 0,
    wanted: range | None = None,
) -> Iterator[Picture]:
    try:
        data = np.frombuffer(zlib.decompress(body), np.uint16)
    except zlib.error as exc:
        raise DamageError("body is damaged") from exc
    cw, ch = chroma_size(width, height)
    shapes = ((height, width), (ch, cw), (ch, cw))
    pos = 0
    for i in range(frames):
        planes = []
        for h, w in shapes:
            planes.append(data[pos : pos + h * w].reshape(h, w))
            pos += h * w
        if wanted is None or i in wanted:
            yield Picture(*planes)


def body_stats(codec: Any, body: bytes, frames: int, width: int, height: int) -> list[dict]:
    sizes = [len(body) // frames] * (frames - 1)
    sizes.append(len(body) - sum(sizes))
    return [
        {
            "frame": i,
            "type": "IPB"[min(i, 2)],
            "level": min(i, 2),
            "bytes": n,
            "bits": {"codes": 8.0 * n},
        }
        for i, n in enumerate(sizes)
    ]


def load_codec(path: str | None = None, device: str = "auto", threads: int = 0) -> Any:
    return types.SimpleNamespace(model_id=MODEL_ID)


def load_model(
    path: str | None = None, device: str = "auto", threads: int = 0, arithmetic: str = "auto"
) -> Any:
    return types.SimpleNamespace(model_id=MODEL_ID)


def read_model_id(path: str | None = None) -> bytes:
    return b"othermod" if path == "other" else MODEL_ID


def read_metadata(path: str | None = None) -> dict[str, str]:
    return {"model_id": read_model_id(path).hex()}


class Patch(Protocol):
    """What pytest's MonkeyPatch does, of which stand-ins need this."""

    def setattr(self, target: Any, name: str, value: object) -> None: ...
    def setitem(self, dic: Any, name: Any, value: Any) -> None: ...


class Lasting:
    """Changes that stay until the process ends."""

    def setattr(self, target: Any, name: str, value: object) -> None:
        setattr(target, name, value)

    def setitem(self, dic: Any, name: Any, value: Any) -> None:
        dic[name] = value


def coders(encoder: type[GopEncoder]) -> dict[str, types.ModuleType]:
    """The modules that code and decode GOPs, with ``encoder`` and its decoder in them."""
    names = {
        "vqcodec.encoding.gop_encoder": dict(GopEncoder=encoder, GopResult=GopResult),
        "vqcodec.encoding.model": dict(load_model=load_model),
        "vqcodec.codec.gop_decoder": dict(decode_gop=decode_gop, body_stats=body_stats),
        "vqcodec.codec.gop_body": dict(checksum_update=checksum_update),
    }
    modules = {}
    for name, attributes in names.items():
        modules[name] = types.ModuleType(name)
        vars(modules[name]).update(attributes)
    return modules


def install(patch: Patch) -> type[GopEncoder]:
    """Put the stand-ins in the place of the modules that run networks, and load no torch for them:
    it takes longer than all else that a process of theirs does."""
    from vqcodec.pipeline import encode

    if isinstance(patch, Lasting):  # in a process of their own
        plain_kernels.install()
    patch.setattr(encode, "need_torch", lambda what: check_room(with_torch=True))
    patch.setattr(encode, "chosen_arithmetic", lambda options: "float32")
    weights: Any = types.ModuleType("vqcodec.codec.weights")
    weights.load_codec, weights.read_metadata, weights.read_model_id = (
        load_codec,
        read_metadata,
        read_model_id,
    )
    for name, module in (coders(GopEncoder) | {"vqcodec.codec.weights": weights}).items():
        patch.setitem(sys.modules, name, module)
    GopEncoder.log, GopEncoder.fail_after, GopEncoder.wrong_checksum = [], None, False
    return GopEncoder


class Marked(GopEncoder):
    """Pictures that begin with 66 take long until there is a file ``quick``, and one that begins
    with 99 kills its process, once, in its second GOP.

    Lines of ``log`` in the current folder say which pid codes how many pictures.
    """

    def add(self, pictures: list[Picture]) -> None:
        with Path("log").open("a") as file:
            file.write(f"{os.getpid()} {len(pictures)}\n")
        super().add(pictures)
        mark = pictures[0].y[0, 0]
        if mark == 66 and not Path("quick").exists():
            time.sleep(0.3)
        if mark == 99 and len(GopEncoder.log) > 1 and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)


def install_marked(patch: Patch) -> None:
    """The stand-ins, with :class:`Marked`."""
    install(patch)
    patch.setattr(sys.modules["vqcodec.encoding.gop_encoder"], "GopEncoder", Marked)


def serve(pipe: Any) -> None:
    """A worker process of a batch with the stand-ins, for :data:`vqcodec.batch.runners.serve`."""
    from vqcodec.batch import runners

    install_marked(Lasting())
    runners.serve(pipe)


def work(pipe: Any, model: Any) -> None:
    """A worker process of an encode with the stand-ins, for
    :data:`vqcodec.pipeline.process_pool._work`."""
    from vqcodec.pipeline import process_pool

    install(Lasting())
    process_pool._work(pipe, model)


def dask_setup(worker: Any) -> None:
    """A worker of a cluster with the stand-ins, for Dask's ``preload``."""
    install_marked(Lasting())
