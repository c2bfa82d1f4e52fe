"""Text from outside on its way to people: names of files, tags, titles, what other libraries
say."""

from __future__ import annotations

import unicodedata

# controls, marks that turn the direction, halves of surrogate pairs, ends of lines and paragraphs
_ESCAPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"  # no words of Persian and no families of emoji without them


def _shown(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _ESCAPED:
        return character
    if "\udc80" <= character <= "\udcff":  # a byte of a name that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def printable(text: str) -> str:
    """The text on one line, with escapes for all that would drive a terminal or forge a line.

    Everything that people read goes through here, in a terminal, a log or a picture. JSON and
    files stay exact.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def quoted(text: str) -> str:
    """Text of many lines, such as where an error arose; each is marked, so none passes for ours."""
    return "\n".join("| " + printable(line) for line in text.rstrip("\n").split("\n"))
