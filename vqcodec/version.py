"""The version of the program; that of the file format is container.VERSION."""

from __future__ import annotations

__version__ = "0.1.0"
