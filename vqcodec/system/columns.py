"""Rows of text in columns, for tables that people read."""

from __future__ import annotations

from collections.abc import Container, Sequence

from .text import printable


def columns(
    rows: Sequence[Sequence[str]], left: Container[int] = (0,), indent: str = ""
) -> list[str]:
    """A line for each row; the columns ``left`` are flush left, all others flush right."""
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        indent
        + "  ".join(
            text.ljust(width) if i in left else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
