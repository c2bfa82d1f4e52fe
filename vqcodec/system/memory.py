"""Too little memory: seen before native libraries are loaded, and told from other errors.

Libraries have no common type for it, and some of them end the process.
"""

from __future__ import annotations

import errno
import re
import resource
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from ..errors import LimitError

# of torch's allocators, of the loader of shared libraries, of C++; of a library's static storage
# for threads the loader says nearly the same, and that is another matter
_TEXTS = re.compile(
    r"(can't|cannot|unable to|failed to) allocate (?!memory in static)|"
    r"failed to map segment|bad_alloc",
    re.IGNORECASE,
)
# what else goes wrong where an allocation fails and nobody looks
_SYMPTOMS = re.compile(
    r"error return without exception set|pointer is null|could not create a primitive|"
    r"can't start new thread",
    re.IGNORECASE,
)


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def limited() -> bool:
    """Whether the memory of this process is limited (``ulimit -v``, ``ulimit -d``)."""
    kinds = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    return any(resource.getrlimit(kind)[0] != resource.RLIM_INFINITY for kind in kinds)


def ran_out(exc: BaseException) -> bool:
    """Whether an error, or one that it came from, means that there was not enough memory."""
    for one in _chain(exc):
        text = str(one)
        if isinstance(one, MemoryError) or "OutOfMemory" in type(one).__name__:
            return True
        if isinstance(one, OSError) and one.errno == errno.ENOMEM:
            return True
        if isinstance(one, (OSError, ImportError, RuntimeError)) and _TEXTS.search(text):
            return True
        if limited() and (isinstance(one, SystemError) or _SYMPTOMS.search(text)):
            return True
    return False


_OTHERS = 512 << 20  # address space that Python, PyAV, numba and OpenCV take, measured


def check_room(with_torch: bool = False) -> None:
    """LimitError where the limit of address space leaves no room for the libraries.

    The constructors of torch end the process where they get no memory, and nothing can be told any
    more.
    """
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return
    need = _OTHERS + (_torch_size() if with_torch else 0)
    if limit < need:
        raise LimitError(
            f"not enough memory: the libraries take about {need >> 20} MiB of address "
            f"space, and this process may have {limit >> 20} (ulimit -v)"
        )


def _torch_size() -> int:
    """Bytes of torch's libraries; 0 where it is not installed."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return 0
    return sum(f.stat().st_size for f in (Path(spec.origin).parent / "lib").glob("*.so*"))
