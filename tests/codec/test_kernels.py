"""Kernels: whoever waits for them is told, and ``vqcodec kernels`` leaves nothing to wait for."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.clips import header, moving, write
from support.paths import ROOT

from vqcodec.cli import main
from vqcodec.encoding.rate_distortion import PRESETS
from vqcodec.pipeline import compile_kernels
from vqcodec.system import kernels as kernels_module

TELLS = """
import numba
from vqcodec.system import kernels
kernels.tell = lambda: print("told")
kernels.watch()
kernels.watch()
numba.njit(lambda x: x + 1)(1)
numba.njit(lambda x: x + 2)(1)
"""
PROGRAM = "import sys; from vqcodec.cli import main; sys.exit(main())"


def run(*args: str, cache: Path) -> str:
    env = os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", *args]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_the_first_kernel_that_is_compiled_is_told_once(tmp_path: Path) -> None:
    assert run(TELLS, cache=tmp_path) == "told\n"


@pytest.mark.parametrize(("compiles", "kept", "code"), [(1, 0, 5), (1, 1, 0), (0, 0, 0)])
def test_the_command_fails_where_what_it_compiled_is_lost(
    compiles: int,
    kept: int,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A container's recipe would go on as if kernels were there."""
    monkeypatch.setattr(kernels_module, "tell", None)
    monkeypatch.setattr(
        compile_kernels, "compile_all", lambda weights: compiles and kernels_module.tell()
    )
    monkeypatch.setattr(kernels_module, "kept", lambda: bool(kept))
    assert main(["kernels"]) == code
    said = capsys.readouterr().err
    assert ("NUMBA_CACHE_DIR" in said) == bool(code) != ("kernels are compiled" in said), said


def of_the_package() -> set[tuple[str, str]]:
    """Folders and names of all kernels."""
    return {
        (path.parent.name, f"{path.stem}.{node.name}")
        for path in (ROOT / "vqcodec").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and any(ast.unparse(one).startswith("njit") for one in node.decorator_list)
    }


def on_the_disk(cache: Path) -> set[tuple[str, str]]:
    """The same of those that numba keeps there, in folders of their own name and a checksum."""
    return {
        (path.parent.name.rpartition("_")[0], path.name.split("-")[0])
        for path in cache.rglob("*.nbi")
    }


@pytest.mark.slow
def test_nothing_is_left_to_compile_behind_the_command(tmp_path: Path, tiny_weights: Path) -> None:
    cache, model = tmp_path / "cache", ["--weights", str(tiny_weights), "--device", "cpu"]
    clip, coded = tmp_path / "in.mkv", str(tmp_path / "a.vqv")
    write(clip, header(66, 50), moving(66, 50, 40, seed=2), vcodec="ffv1")
    whole = tmp_path / "whole.mkv"  # whose planes need no filling up
    write(whole, header(128, 64), moving(128, 64, 12, seed=2), vcodec="ffv1")
    said = run(PROGRAM, "kernels", *model[:2], cache=cache)
    assert "note: compiling kernels" in said
    assert "kernels are compiled" in said
    assert "compiling" not in run(PROGRAM, "kernels", *model[:2], cache=cache)
    # of those that no test here happens to need too, such as for fades
    left = of_the_package() - on_the_disk(cache)
    assert {one for one in left if one[0] != "training"} == {("reading", "rgb._whole")}  # of a test
    for preset in PRESETS:
        for source in (clip, whole):
            args = ["encode", "-y", str(source), coded, "-preset", preset, *model]
            assert "compiling" not in run(PROGRAM, *args, cache=cache), (preset, source)
    for args in (["decode", coded, str(tmp_path / "b.mkv")], ["verify", coded]):
        assert "compiling" not in run(PROGRAM, *args, *model, cache=cache)
    assert "compiling" not in run(PROGRAM, "analyze", coded, *model[:2], cache=cache)


@pytest.mark.slow
def test_workers_that_compile_tell_it_once(tmp_path: Path, tiny_weights: Path) -> None:
    clip = tmp_path / "in.mkv"
    write(clip, header(66, 50), moving(66, 50, 40, seed=2), vcodec="ffv1")
    two = ["encode", "-y", str(clip), str(tmp_path / "a.vqv"), "--jobs", "2", "-g", "20"]
    said = run(PROGRAM, *two, "--weights", str(tiny_weights), cache=tmp_path / "cache")
    assert said.count("note: compiling kernels") == 1


def test_kernels_on_the_disk_are_taken_without_numbas_library_of_functions(tmp_path: Path) -> None:
    """It takes longer to load than all kernels of a decoder; an encoder's need a part of it, but no
    linear algebra, with which SciPy would come."""
    clip = tmp_path / "in.y4m"
    write(clip, header(64, 64), moving(64, 64, 3))
    code = (
        "import sys; from vqcodec.cli import main\n"
        "code = main(sys.argv[1:])\n"
        "names = 'numba.np.npyimpl', 'scipy.linalg', 'numba'\n"
        "print(code, *(name in sys.modules for name in names))"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}

    def ran(*args: object) -> str:
        command = [sys.executable, "-c", code, *map(str, args)]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        return done.stdout + done.stderr

    coded = tmp_path / "a.vqv"
    for _ in range(2):  # what the first has to compile the second finds
        encoded = ran("encode", "-q", "-y", "-preset", "fast", clip, coded)
        decoded = ran("decode", "-q", "-y", coded, tmp_path / "out.y4m")
        if encoded.split()[2:] == ["False", "True"] and decoded == "0 False False True\n":
            break
    assert encoded.split()[2:] == ["False", "True"], encoded
    assert decoded == "0 False False True\n"


def make_package(folder: Path) -> Path:
    """A package with a kernel that gives back a constant of another file; returns that file."""
    package = folder / "vqcodec"
    (package / "codec").mkdir(parents=True)
    for name in ("__init__.py", "codec/__init__.py"):
        (package / name).touch()
    shutil.copy(ROOT / "vqcodec" / "compiled.py", package)
    (package / "codec" / "kernel.py").write_text(
        "from ..compiled import njit\nfrom .constant import ONE\n\n\n"
        "@njit\ndef one(more=0):\n    return ONE + more\n"
    )
    constant = package / "codec" / "constant.py"
    constant.write_text("ONE = 1\n")
    return constant


def test_kernels_are_made_anew_when_a_file_they_take_something_of_changed(tmp_path: Path) -> None:
    """numba looks at the file of the function alone: one kept a constant of another file as it had
    been, and golden files were made with it."""
    constant = make_package(tmp_path)
    code = "from vqcodec.codec.kernel import one; print(one(), *one.stats.cache_hits.values())\n"
    code += "if one.stats.cache_hits: import numba; print(numba.njit(lambda: one() + 1)())"
    env = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    told = []
    for value in (1, 1, 23):
        if value != 1:
            constant.write_text(f"ONE = {value}\n")
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        told.append(done.stdout.split() or done.stderr)
    # what another kernel takes of one that was read is there when it is compiled
    assert told == [["1"], ["1", "1", "2"], ["23"]]


TURNS = """
import sys, time
from numba.core import caching
from vqcodec.codec.kernel import one

load = caching.IndexDataCacheFile._load_index

def slowly(self):
    index = load(self)
    time.sleep(float(sys.argv[2]))
    return index

caching.IndexDataCacheFile._load_index = slowly
print("ready", flush=True)
sys.stdin.readline()
one({"int": 1, "float": 1.5}[sys.argv[1]])
print(sum(one.stats.cache_hits.values()))
"""


def test_of_two_that_compile_for_other_types_at_once_both_are_kept(tmp_path: Path) -> None:
    """numba reads an index, adds to it and writes it: who read it before the other wrote it took
    the other's kernel out of it, and gave its own the other's name."""
    make_package(tmp_path)
    env = os.environ | {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}

    def start(kind: str, seconds: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", TURNS, kind, seconds],
            cwd=tmp_path, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    for seconds, hits in (("1", "0\n"), ("0", "1\n")):
        started = [start(kind, seconds) for kind in ("int", "float")]
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        assert [process.communicate()[0] for process in started] == [hits, hits]
