"""Programs around us, processes and installations: what they have set or lack is not felt."""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from support.clips import header, picture, write
from support.clock import PATIENCE
from support.golden_files import NEWEST
from support.paths import ROOT

import vqcodec
from vqcodec import compiled
from vqcodec.codec.nets.shape import NetShape
from vqcodec.errors import UsageError, VqvError, WeightsError
from vqcodec.media.side_data import side_data
from vqcodec.options import DecodeOptions, EncodeOptions
from vqcodec.system.surroundings import undisturbed

torch = pytest.importorskip("torch")
WEIGHTS = NEWEST / "tiny.safetensors"
UPWARD = 0x800 if os.uname().machine == "x86_64" else 0x400000


def coded() -> Path:
    return next(p for p in sorted(NEWEST.glob("*.vqv")) if "10" not in p.name)


def pixels(**more: Any) -> list[bytes]:
    with vqcodec.open(coded(), weights=WEIGHTS, output="yuv", cache_bytes=0, **more) as reader:
        return [b"".join(p.numpy().tobytes() for p in frame) for frame in reader[:3]]


@contextmanager
def default_device() -> Iterator[None]:
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def rounding() -> Iterator[None]:
    c = ctypes.CDLL(None)
    c.fesetround(UPWARD)
    try:
        yield
    finally:
        c.fesetround(0)


@contextmanager
def device_block() -> Iterator[None]:
    with torch.device("meta"):
        yield


SETTINGS = [default_device, device_block, float64, rounding]


@pytest.mark.parametrize("setting", SETTINGS)
def test_pixels_and_bytes_are_the_same(setting: Any, tmp_path: Path, tiny_weights: Path) -> None:
    clip = write(tmp_path / "in.y4m", header(64, 64), [picture(64, 64, i) for i in range(3)])
    want = pixels()

    def encoded(name: str) -> bytes:
        vqcodec.encode(clip, tmp_path / name, weights=str(tiny_weights), threads=1)
        vqcodec.decode(tmp_path / name, tmp_path / f"{name}.y4m", weights=str(tiny_weights))
        return (tmp_path / name).read_bytes() + (tmp_path / f"{name}.y4m").read_bytes()

    plain = encoded("a.vqv")
    with setting():
        assert pixels() == want
        assert encoded("b.vqv") == plain


def test_what_was_set_is_set_again() -> None:
    c = ctypes.CDLL(None)
    with rounding(), default_device():
        with undisturbed():
            assert c.fegetround() == 0
            assert torch.empty(0).device.type == "cpu"
        assert c.fegetround() == UPWARD
        assert torch.empty(0).device.type == "meta"


_FORKS = """
import os, sys, threading, time, torch, vqcodec
torch.set_num_threads(2)
reader = vqcodec.open(sys.argv[1], weights=sys.argv[2])
torch.ones(1500, 1500) @ torch.ones(1500, 1500); want = reader[1]
def child(act):
    pid = os.fork()
    if not pid:
        try: os._exit(0 if act() else 3)
        except BaseException: os._exit(4)
    for _ in range(600):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done: return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    os.kill(pid, 9); os.waitpid(pid, 0)
    return "hung"
same = lambda r: torch.equal(r[1], want)
answers = [child(lambda: same(reader))]
answers.append(child(lambda: same(vqcodec.open(sys.argv[1], weights=sys.argv[2], batch=3))))
stop = []
def read():
    while not stop: reader[0], reader[len(reader) - 1]
thread = threading.Thread(target=read); thread.start(); time.sleep(0.2)
answers.append(child(lambda: same(reader)))
stop.append(1); thread.join()
answers.append(0 if same(reader) else 5)
print(answers)
"""


def test_a_forked_child_reads() -> None:
    """Of a parent with two threads, and while another thread of the parent is reading."""
    args = [sys.executable, "-c", _FORKS, str(coded()), str(WEIGHTS)]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    result = subprocess.run(args, capture_output=True, text=True, timeout=PATIENCE, env=env)
    assert result.stdout == "[0, 0, 0, 0]\n", result


# -- installations


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The package in a folder that cannot be written: where caches belong there are files."""
    folder = tmp_path / "site"
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "vqcodec", folder / "vqcodec", ignore=ignore)
    for place in [folder / "vqcodec", *(folder / "vqcodec").iterdir()]:
        if place.is_dir():
            (place / "__pycache__").write_text("no folder")
    (tmp_path / "home").write_text("no folder")
    (tmp_path / "tmp").mkdir()
    return folder


def run_installed(folder: Path, code: str, *args: str, **more: str) -> Any:
    """A user without a home; the working directory cannot be written by anybody."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "XDG", "HOME"))}
    home = folder.with_name("home")
    env |= {"PYTHONPATH": str(folder), "HOME": str(home), "TMPDIR": str(folder.with_name("tmp"))}
    command = [sys.executable, "-B", "-c", code, *args]
    return subprocess.run(
        command, env=env | more, capture_output=True, text=True, timeout=PATIENCE, cwd="/proc"
    )


_KERNEL = """
import sys, tempfile
tempfile.tempdir = sys.argv[1] or None
from vqcodec import compiled; from vqcodec.system import kernels
from vqcodec.codec import motion_compensation as predict
made = [v for v in vars(predict).values() if hasattr(v, "stats")]
print(len(made) > 0, {bool(k.stats.cache_path) for k in made})
kernels.watch()
compiled.nb.njit(lambda a: a + 1)(1)
"""


def test_a_read_only_installation_without_a_home(installed: Path) -> None:
    """Kernels are kept in a folder of the run, which is gone afterwards, and that is told once."""
    result = run_installed(installed, _KERNEL, "")
    assert result.stdout == "True {True}\n", result
    assert result.stderr.count("NUMBA_CACHE_DIR") == 1
    assert "Traceback" not in result.stderr
    assert not list(installed.with_name("tmp").iterdir())


def test_no_place_at_all(installed: Path) -> None:
    """As in a container whose disks are all read-only: compiled without being kept."""
    result = run_installed(installed, _KERNEL, "/proc/nowhere")
    assert result.stdout == "True {False}\n", result
    assert "Traceback" not in result.stderr


_FIRST = """
import sys
from vqcodec import compiled, errors
from vqcodec.cli import run
from vqcodec.codec.nets import backend_choice
def chosen(device):
    compiled.nb.njit(lambda a: a + 1)(1)
    raise errors.VqvError("that was enough")
backend_choice.choose_backend = chosen
sys.argv[0] = "vqcodec"
run()
"""


def test_the_program_tells_it_as_a_note(installed: Path) -> None:
    """Before its first kernel is compiled, whichever that is; here the rest is not waited for."""
    args = ("info", "--bits", str(coded()), "--weights", str(WEIGHTS))
    result = run_installed(installed, _FIRST, *args)
    assert result.returncode == VqvError.exit_code, result
    said, enough = result.stderr.splitlines()
    assert said.startswith("vqcodec: note: compiling kernels, which takes every run"), result
    assert said.count("kernels cannot be kept") == 1, said
    assert "once on this machine" not in said, said
    assert enough.endswith(": that was enough"), enough
    assert not list(installed.with_name("tmp").glob("vqcodec-*"))


def test_all_kernels_are_made_by_it() -> None:
    """A kernel that numba caches by itself would end the program on a read-only disk."""
    for path in (ROOT / "vqcodec").rglob("*.py"):
        if path.name != "compiled.py":
            assert "nb.njit" not in path.read_text(), path
            assert "cache=True" not in path.read_text(), path


def test_worker_processes_share_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numba = pytest.importorskip("numba")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.setattr(compiled.tempfile, "mkdtemp", lambda prefix: str(tmp_path))
    monkeypatch.setattr(compiled.atexit, "register", lambda *_: None)
    compiled._folder_of_run.cache_clear()
    assert compiled._folder_of_run() == os.environ["NUMBA_CACHE_DIR"] == str(tmp_path)
    compiled._folder_of_run.cache_clear()
    child = multiprocessing.get_context("fork").Process(
        target=compiled._remove, args=(str(tmp_path), os.getpid())
    )
    child.start()
    child.join()
    assert tmp_path.exists()
    compiled._remove(str(tmp_path), os.getpid())
    assert not tmp_path.exists()


# -- what a library has no name for, or too much of


class _Data:
    def __init__(self, number: int) -> None:
        from av.sidedata.sidedata import Type

        self.type = Type(number)


@pytest.mark.parametrize("number", [29, 31, 77, 1 << 20])
def test_side_data_without_a_name(number: int) -> None:
    """PyAV's list of kinds lags behind FFmpeg's, whichever kind comes next."""
    from av.sidedata.sidedata import Type

    class Frame:
        side_data = [_Data(number), _Data(Type.DISPLAYMATRIX.value)]

    assert list(side_data(Frame())) == [str(number), "DISPLAYMATRIX"]
    assert Type(number) not in list(Type)


def test_a_photo_with_exif(tmp_path: Path) -> None:
    """Kind 31 comes with the pictures of every phone."""
    image = pytest.importorskip("PIL.Image")
    from vqcodec.media.source import VideoSource

    exif = image.Exif()
    exif[0x010F] = "maker"
    made = image.fromarray(np.full((32, 32, 3), 90, np.uint8))
    made.save(tmp_path / "a.jpg", exif=exif)
    with av.open(str(tmp_path / "a.jpg")) as file:
        kinds = [name for frame in file.decode(video=0) for name in side_data(frame)]
    with VideoSource(tmp_path / "a.jpg") as source:
        assert len(list(source)) == 1
    if av.library_versions["libavutil"] >= (60, 9, 100):
        assert kinds, "this FFmpeg gives EXIF as side data"


@pytest.mark.parametrize(
    "device",
    ["cuda:99999999999999999999", "cuda:128", "cuda:-1", "cuda:\u0661", "meta", "cpu:0", "xpu", ""],
)
def test_devices_that_do_not_exist(device: str) -> None:
    for options in (EncodeOptions, DecodeOptions):
        with pytest.raises(UsageError, match="device"):
            options(device=device)


def test_a_device_that_is_not_there() -> None:
    from vqcodec.codec.nets.backend_choice import choose_backend

    if torch.cuda.device_count() < 99:
        with pytest.raises(UsageError, match="cuda:99"):
            choose_backend("cuda:99")


SIZES = NetShape(inter=True).to_dict()
HUGE = [1 << 62, 10**400, -1, 0, 1.5, True, None, "128", [128], float("nan")]


@pytest.mark.parametrize("name", SIZES)
def test_hostile_sizes_of_nets(name: str) -> None:
    for value in HUGE:
        if name == "inter" and value is True:
            continue
        with pytest.raises((ValueError, TypeError)):
            NetShape.from_dict(SIZES | {name: value})
    assert NetShape.from_dict(SIZES) == NetShape(inter=True)


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_part_of_the_check(name: str, tmp_path: Path, tiny_weights: Path) -> None:
    """The largest sizes allowed, and others than those of the tensors, before memory is taken."""
    import resource

    from safetensors import safe_open
    from safetensors.numpy import save_file

    from vqcodec.encoding.model import load_model

    with safe_open(tiny_weights, "np") as file:
        meta = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    sizes = json.loads(meta["inter"])
    other = not sizes[name] if name == "inter" else 64 if name.endswith("_blocks") else 4096
    meta["inter"] = json.dumps(sizes | {name: other})
    save_file(tensors, tmp_path / "w.safetensors", meta)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WeightsError):
        load_model(tmp_path / "w.safetensors", "cpu")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3", "F8_E5M2", "BOOL", "F64", "U64"])
def test_tensors_of_all_types(kind: str, tmp_path: Path) -> None:
    from vqcodec.codec.weights import load_codec

    size = {"BF16": 2, "F64": 8, "U64": 8}.get(kind, 1)
    head = json.loads((raw := WEIGHTS.read_bytes())[8 : 8 + int.from_bytes(raw[:8], "little")])
    head = {"__metadata__": head["__metadata__"]}
    head["intra.x"] = {"dtype": kind, "shape": [4], "data_offsets": [0, 4 * size]}
    text = json.dumps(head).encode()
    data = len(text).to_bytes(8, "little") + text + bytes(4 * size)
    (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(WeightsError):
        load_codec(tmp_path / "w.safetensors", "cpu")


@pytest.mark.parametrize("name", ["plain", "a$b$", "$\\bad$", "cost $x^{$ more", "\udcff", "a\nb"])
def test_names_of_clips_in_a_drawing(name: str) -> None:
    pytest.importorskip("matplotlib")
    from vqcodec.bench import plots
    from vqcodec.psnr import Psnr

    points = [
        SimpleNamespace(bpp=b, psnr_mean_of_frames=Psnr(q, q, q, q), ms_ssim_db=q, vmaf=q)
        for b, q in ((0.1, 30), (0.2, 33))
    ]
    clip = SimpleNamespace(name=name, points={"vqcodec": points}, digest="d" * 16)
    results: Any = SimpleNamespace(clips=[clip])
    for kind in ("svg", "png"):
        drawn = plots.draw(results, kind)
    svg = plots.draw(results, "svg").decode()
    assert drawn
    assert name != "a$b$" or "a$b$" in svg
