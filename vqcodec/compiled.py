"""Compiled kernels, and where they are kept for the next run.

Numba keeps them beside the source or in the user's cache, and refuses to begin where it can write
to neither: a program on a read-only disk, a user of a service without a home. Then they are kept
in a folder of this run, which its worker processes share, or not at all.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numba as nb
from llvmlite import binding as llvm
from numba.core.caching import FunctionCache
from numba.core.codegen import JITCodeLibrary
from numba.core.runtime.nrt import rtsys

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kept() -> bool:
    """Whether kernels stay for the next run: numba finds a folder that is not of this run alone."""
    if _folder_of_run.cache_info().currsize:
        return False
    try:
        nb.njit(_copy_kept).enable_caching()
    except RuntimeError:  # numba's for a function that no folder was found for
        return False
    return True


class _Kept(FunctionCache):
    """The kernels of a function on the disk, taken from there without what compiling needs.

    numba loads its whole library of functions before it looks for a kernel, which takes longer than
    all kernels of a decoder. What one needs when it runs is the runtime that gives it memory. And
    with each kernel numba reads what others take of it: see :class:`_Library`.

    Kernels hold constants and functions of other files, which numba does not look at: so they are
    made anew when any file of theirs has changed.

    Processes that compile at the same time take turns at the files. numba writes the index of a
    function before the kernel, under a name that an older kernel may have: in between another
    process would load that one, and of two that add a kernel to an index one would be lost.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        self._cache_file._source_stamp = _sources(Path(function.__code__.co_filename).parent)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors(), _turn(self.cache_path, fcntl.LOCK_SH):
            if not self._enabled:
                return None
            codegen = target_context.codegen()
            key = self._index_key(sig, codegen)  # type: ignore[no-untyped-call]
            kept = self._cache_file.load(key)  # type: ignore[no-untyped-call]
            if kept is None:
                return None
            reader = _Instead(codegen, unserialize_library=partial(_Library, codegen))
            made = self._impl.rebuild(_Instead(target_context, codegen=lambda: reader), kept)
            return made._replace(target_context=target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        with _turn(self.cache_path, fcntl.LOCK_EX):
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]


class _Library(JITCodeLibrary):
    """A kernel of the disk, without what other kernels take of it until one of them is compiled:
    to read that, and the names in it, took longer than all else of a kernel that only runs.
    """

    def __init__(self, codegen: Any, state: Any) -> None:
        name, kind, (self._code, self._for_others) = state
        if kind != "object":
            raise ValueError(kind)  # of a cache that is not ours
        super().__init__(codegen, name)  # type: ignore[no-untyped-call]
        self.enable_object_caching()  # type: ignore[no-untyped-call]
        self._set_compiled_object(self._code)  # type: ignore[no-untyped-call]
        self._finalize_final_module()  # type: ignore[no-untyped-call]

    def get_pointer_to_function(self, name: str) -> Any:
        """Its address; 0 where there is none of that name."""
        code, self._code = self._code, b""  # one is asked for as a rule
        if b"\0" + name.encode() + b"\0" in code:  # as object files have the names
            return self._codegen._engine.get_function_address(name)
        self._get_module_for_linking()
        return super().get_pointer_to_function(name)  # type: ignore[no-untyped-call]

    def _get_module_for_linking(self) -> Any:
        if self._shared_module is None:
            self._shared_module = llvm.parse_bitcode(self._for_others)
            engine: Any = self._codegen._engine
            engine._load_defined_symbols(self._shared_module)
        return self._shared_module


class _Instead:
    """Another object, with other methods in the place of some of its own."""

    def __init__(self, real: Any, **methods: Callable[..., Any]) -> None:
        self._real = real
        vars(self).update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@contextmanager
def _turn(folder: str, kind: int) -> Iterator[None]:
    """Hold the lock of a folder of kernels, where it has one or can have one."""
    mode = os.O_RDWR | os.O_CREAT if kind == fcntl.LOCK_EX else os.O_RDONLY
    try:
        held = os.open(Path(folder, "kernels.lock"), mode, 0o666)
    except OSError:  # nothing was compiled there since this lock came, or nothing can be
        yield
        return
    try:
        fcntl.flock(held, kind)
        yield
    finally:
        os.close(held)


def _kept(function: Callable[..., Any]) -> _Kept:
    return _Kept(function)


@cache
def _sources(folder: Path) -> str:
    """A stamp of all files that a kernel of a folder may take something of: those of the codec, and
    of the folder's own part of the package."""
    package = Path(__file__).parent
    part = package / folder.relative_to(package).parts[0] if package in folder.parents else folder
    found = {path for room in {part, package / "codec"} for path in room.rglob("*.py")}
    states = ((path, path.stat()) for path in sorted(found))
    stamp = [(path.name, state.st_mtime_ns, state.st_size) for path, state in states]
    return hashlib.sha256(repr(stamp).encode()).hexdigest()


def njit(function: Kernel) -> Kernel:
    """Compile a function for the processor, to run without the lock of the interpreter.

    What comes back is called as the function is; it is numba's dispatcher.
    """
    return _compiled(function)


def njit_borrowing(function: Kernel) -> Kernel:
    """:func:`njit` for a function that makes no arrays and gives none back: neither it nor what it
    calls counts who holds the arrays that it was given.

    Counting is a locked instruction whenever an array is taken out of a tuple, which took two
    thirds of the motion search.
    """
    return _compiled(function, _nrt=False)


def _compiled(function: Kernel, **options: Any) -> Kernel:
    made: Any = nb.njit(nogil=True, **options)(function)
    try:
        made._cache = _kept(function)
    except RuntimeError:
        if _folder_of_run():
            made._cache = _kept(function)
            _copy_kept(function, str(made.stats.cache_path))
    compiled: Kernel = made
    return compiled


@cache
def _folder_of_run() -> str | None:
    """A folder for the kernels of this run that only its user can read; None where there is no
    place.
    """
    try:
        folder = tempfile.mkdtemp(prefix="vqcodec-kernels-")
    except OSError:
        return None
    atexit.register(_remove, folder, os.getpid())
    setattr(nb.config, "CACHE_DIR", folder)  # noqa: B010  # it is made at run time
    os.environ["NUMBA_CACHE_DIR"] = folder  # of worker processes
    return folder


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # not a child that was forked
        shutil.rmtree(folder, ignore_errors=True)


def _copy_kept(function: Callable[..., Any], target: str) -> None:
    """What was compiled into a folder before it became read-only serves still."""
    source = Path(function.__code__.co_filename)
    name = f"{source.stem}.{function.__qualname__}-{function.__code__.co_firstlineno}."
    for file in (source.parent / "__pycache__").glob(f"{name}*.nb[ci]"):
        try:
            shutil.copy(file, target)
        except OSError:
            return
