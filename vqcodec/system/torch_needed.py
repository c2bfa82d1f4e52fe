"""torch, which decoding on the CPU does without: what needs it asks for it here."""

from __future__ import annotations

from importlib.util import find_spec

from ..errors import UsageError
from .memory import check_room

INSTALL = "pip install torch"


def torch_installed() -> bool:
    """Whether torch could be loaded; it is not loaded for that."""
    try:
        return find_spec("torch") is not None
    except (ImportError, ValueError):  # something keeps it out
        return False


def need_torch(what: str) -> None:
    """Load torch, which ``what`` needs; it begins the sentence of an error.

    Raises UsageError where it is not installed, LimitError where there is no room for it.
    """
    check_room(with_torch=True)
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as exc:
        raise UsageError(f"{what} needs torch, which is not installed: {INSTALL}") from exc
