"""What decodes on the CPU does without torch: it is neither loaded where it is installed, nor
missed where it is not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.clips import header, moving, write
from support.golden_files import FILES, NEWEST, weights
from support.paths import ROOT

FILE, WEIGHTS = NEWEST / "latents.vqv", weights(NEWEST)
MODEL = ("--weights", str(WEIGHTS))

# run as a program of its own, in which importing torch fails, as where it is not installed, and
# all else that README's list for decoders leaves out
WITHOUT = """
import sys
OUT = "torch cv2 scipy matplotlib jinja2 bjontegaard pytorch_msssim imageio_ffmpeg distributed"
class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in OUT.split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Nowhere())
"""
COMMANDS = """
import json, sys
from vqcodec.cli import main
rows = []
for command in json.loads(sys.argv[1]):
    code = main(command)
    sys.stdout.flush()
    rows.append([code, "torch" in sys.modules])
print(json.dumps(rows), file=sys.stderr)
"""
READS = """
import hashlib, json, sys
import numpy as np
import vqcodec
assert not {"torch", "av", "numba"} & set(sys.modules)
coded, weights = sys.argv[1:]
with vqcodec.open(coded, output="numpy-yuv", weights=weights) as video:
    one, all_of_it = video[3], video.get_frames_at(range(len(video)))
    assert np.array_equal(one.y, all_of_it.data.y[3]) and all_of_it.pts_seconds.dtype == float
    tokens = video.tokens(0, 3)
    sequence = video.vocabulary.sequence(tokens[0])
    digest = hashlib.md5()
    for planes in video:
        for plane in planes:
            digest.update(plane.tobytes())
for output, dtype in (("numpy", np.uint8), ("numpy-float", np.float32)):
    with vqcodec.open(coded, output=output, weights=weights) as video:
        frame = video[0]
        assert type(frame) is np.ndarray and frame.dtype == dtype and frame.shape[0] == 3
found = vqcodec.info(coded, bits=True, weights=weights), vqcodec.verify(coded, weights=weights)
assert found[1].ok and len(tokens) == 3 and len(sequence.ids) > 1
vqcodec.VideoReader, vqcodec.Planes, vqcodec.FrameBatch
print(json.dumps([digest.hexdigest(), "torch" in sys.modules]))
"""


def run(code: str, *args: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "VQCODEC_BACKEND"}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"} | more
    return subprocess.run(
        [sys.executable, "-c", code, *args], env=environment, capture_output=True, text=True
    )


def test_the_list_for_decoders_is_what_the_package_asks_for_without_torch_and_the_encoders() -> (
    None
):
    """The tests below refuse to load what it leaves out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {re.split(r"[<>=]", text)[0] for text in project["dependencies"]}
    (line,) = re.findall(r"(?m)^pip install (av .*)$", (ROOT / "README.md").read_text())
    assert set(line.split()) == asked - {"torch"}


@pytest.mark.parametrize("before", ["", WITHOUT], ids=["installed", "missing"])
def test_decoding_never_loads_torch(tmp_path: Path, before: str) -> None:
    player = tmp_path / "bin" / "mpv"
    player.parent.mkdir()
    player.write_text(f"#!/bin/sh\ncat > {tmp_path}/seen.mkv\n")
    player.chmod(0o755)
    coded = str(FILE)
    commands = [
        ["decode", "-q", coded, str(tmp_path / "a.y4m"), *MODEL],
        ["decode", "-q", coded, str(tmp_path / "a.mkv"), *MODEL, "-threads", "2"],
        ["decode", "-q", coded, str(tmp_path / "%04d.png"), *MODEL, "-frames:v", "2"],
        ["decode", "-q", coded, str(tmp_path / "b.y4m"), *MODEL, "--device", "cpu"],
        ["verify", coded, *MODEL],
        ["info", coded],
        ["info", "--bits", coded, *MODEL],
        ["play", coded, *MODEL],
        ["repair", "-q", coded, str(tmp_path / "c.vqv")],
        ["--version"],
    ]
    done = run(
        before + COMMANDS,
        json.dumps(commands),
        PATH=f"{player.parent}{os.pathsep}{os.environ['PATH']}",
    )
    rows = json.loads(done.stderr.splitlines()[-1])
    # the report of the whole installation is there to load all of it
    loaded = [False] * (len(commands) - 1) + [not before]
    assert rows == [[0, there] for there in loaded], done.stderr
    assert (tmp_path / "a.y4m").read_bytes() == (tmp_path / "b.y4m").read_bytes()
    assert (tmp_path / "seen.mkv").stat().st_size > 1000
    assert ("decoding on the CPU does without" in done.stdout) == bool(before)


@pytest.mark.parametrize("before", ["", WITHOUT], ids=["installed", "missing"])
def test_decoded_pictures_go_to_a_pipe_without_torch(tmp_path: Path, before: str) -> None:
    code = (
        "import sys\nfrom vqcodec.cli import main\n"
        "code = main(sys.argv[1:])\nassert 'torch' not in sys.modules\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", before + code, *"decode -q - -f yuv4mpegpipe -".split(), *MODEL],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input=FILE.read_bytes(),
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"YUV4MPEG2"), done.stderr


@pytest.mark.parametrize("before", ["", WITHOUT], ids=["installed", "missing"])
def test_the_library_reads_arrays_without_torch(before: str) -> None:
    done = run(before + READS, str(FILE), str(WEIGHTS))
    assert done.returncode == 0, done.stderr
    want = next(entry["md5"] for _, name, entry in FILES if name == FILE.stem)
    assert json.loads(done.stdout) == [want, False]


@pytest.mark.parametrize(
    "command, what",
    [
        (["encode", "in.y4m", "out.vqv", "--arithmetic", "float32"], "arithmetic float32"),
        (["encode", "in.y4m", "--estimate", "--device", "cuda"], "device cuda"),
        (["train", "in.toml"], "train"),
        (["bench", "in.y4m"], "bench"),
        (["decode", str(FILE), "out.y4m", "--device", "cuda"], f"{FILE}: device cuda"),
    ],
)
def test_what_needs_torch_says_so(tmp_path: Path, command: list[str], what: str) -> None:
    for name in ("in.y4m", "in.toml"):
        (tmp_path / name).write_bytes(b"YUV4MPEG2 W16 H16 F25:1 C420jpeg\nFRAME\n" + bytes(384))
    if command[0] == "decode":
        command = [*command, *MODEL]
    code = f"{WITHOUT}\nimport os\nos.chdir({str(tmp_path)!r})\n{COMMANDS}"
    done = run(code, json.dumps([command]))
    *said, rows = done.stderr.splitlines()
    assert json.loads(rows) == [[2, False]]
    assert said == [
        f"vqcodec: error: {what} needs torch, which is not installed: pip install torch"
    ]


def test_encoding_on_the_cpu_never_loads_torch(tmp_path: Path, tiny_weights: Path) -> None:
    """The bytes are those of an encode with torch; kernels and estimates do without it too."""
    source = str(write(tmp_path / "in.y4m", header(96, 64), moving(96, 64, 6)))
    made: list[bytes] = []
    for before in ("", WITHOUT):
        out = tmp_path / f"{len(made)}.vqv"
        model = ("--weights", str(tiny_weights))
        arguments = ["-q", "-t", "3f", "-threads", "2", source, str(out), *model]
        commands = [["encode", *arguments], ["encode", source, "--estimate", "-q", *model]]
        done = run(f"{before}\n{COMMANDS}", json.dumps(commands))
        assert json.loads(done.stderr.splitlines()[-1]) == [[0, False], [0, False]], done.stderr
        made.append(out.read_bytes())
    assert made[0] == made[1]


def test_tensors_need_torch_and_say_so() -> None:
    code = f"""{WITHOUT}
import vqcodec
for output in ("rgb", "float", "yuv"):
    try:
        vqcodec.open({str(FILE)!r}, output=output)
    except vqcodec.UsageError as exc:
        print(exc)
"""
    done = run(code)
    assert done.stdout.splitlines() == [
        f"output={output!r} needs torch, which is not installed: pip install torch"
        for output in ("rgb", "float", "yuv")
    ], done.stderr
