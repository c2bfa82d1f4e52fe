"""docs/format.md says what the code does: its tables of constants, its contexts and filters, its worked example."""

from __future__ import annotations

import re

from support.paths import ROOT
from support.symbol_tables import tables

from vqcodec.codec import (
    codebooks,
    contexts,
    detail_syntax,
    frame_decoder,
    gop_structure,
    motion_compensation,
    motion_field,
    range_coder,
)
from vqcodec.codec.nets import integer, shape
from vqcodec.codec.range_coder import Decoder, decode_bit, decode_raw, decode_symbol, new_contexts
from vqcodec.encoding.nets import layers as layers_module

TEXT = (ROOT / "docs" / "format.md").read_text()


def section(name: str) -> str:
    return TEXT.split(f"\n## {name}\n")[1].split("\n## ")[0]


def rows(text: str) -> dict[str, list[str]]:
    """Rows of tables by their first cell."""
    return {
        c[0]: c[1:]
        for line in text.splitlines()
        if line.startswith("|") and (c := [cell.strip() for cell in line.strip("|").split("|")])
    }


def test_constants_are_those_of_the_code() -> None:
    checks = [
        ("GOP body", frame_decoder, ["ALIGN", "MAX_QDELTA"]),
        ("GOP body", gop_structure, ["MINI_GOP", "LEVELS"]),
        ("Entropy coding", range_coder, ["TOTAL_BITS"]),
        ("Entropy coding", codebooks, ["INCREMENT", "HALVE_AT"]),
        ("Motion", motion_field, ["CTU", "MAX_MERGE", "MV_LIMIT"]),
        ("Latents", codebooks, ["UNIT"]),
        ("Latents", shape, ["CLASSES", "HYPER_BUCKETS"]),
        ("Networks", shape, ["CLASS_ZERO"]),
    ]
    for name, module, constants in checks:
        table = rows(section(name))
        for constant in constants:
            assert int(table[constant][0]) == getattr(module, constant), constant
    assert (
        rows(section("Entropy coding"))["FAST, SLOW"][0]
        == f"{range_coder.FAST}, {range_coder.SLOW}"
    )
    assert int(rows(section("Entropy coding"))["START"][0]) == range_coder.new_contexts(1)[0, 0]
    assert rows(section("Networks"))["EXACT"][0] == "2^24" and integer.EXACT_LIMIT == 1 << 24
    assert rows(section("Networks"))["SLOPE"][0] == "1/8" and layers_module.SLOPE == 1 / 8


def test_contexts_are_those_of_the_code() -> None:
    table = rows(section("Motion"))
    for name in ("SPLIT", "MERGE", "MERGE_INDEX", "BI_FLAG", "LIST_FLAG", "MVD_CLASS", "MVD_TOP"):
        assert int(table[name][0]) == getattr(contexts, name)
    assert (
        int(table["QDELTA"][0]) == contexts.QDELTA
        and int(table["DIRECT"][0]) == contexts.DIRECT
        and f"There are {contexts.CONTEXTS} contexts" in section("Motion")
    )


def test_detail_is_that_of_the_code() -> None:
    table = rows(section("Detail"))
    for name in (
        "FRAME",
        "CELL",
        "SKIP",
        "BLOCK",
        "LAST",
        "SIG",
        "GT1",
        "MAG",
        "SIGN",
        "CELL_DIRECT",
    ):
        assert int(table[name][0]) == contexts.DETAIL + getattr(detail_syntax, name)
    assert "T = 64 72 81 91 102 114," in section("Detail") and [
        detail_syntax.step8(i) for i in (0, 1, 5, 6, 63)
    ] == [8, 9, 14, 16, 11648]
    assert "0 1 4 8 5 2 3 6 9 12 13 10 7 11 14 15" == " ".join(
        map(str, detail_syntax.ZIGZAG)
    ) and "0 1 4 8 5 2 3 6 9 12 13 10 7 11 14 15 for mode 0" in section("Detail")


def test_filters_are_those_of_the_code() -> None:
    for title, taps in (
        ("quarter", motion_compensation.LUMA),
        ("eighth", motion_compensation.CHROMA),
    ):
        table = rows(section("Motion").split(f"| {title} |")[1].split("\n\n")[0])
        assert all(
            [int(v) for v in table[str(i)][0].split()] == row.tolist() for i, row in enumerate(taps)
        )


def test_worked_example_of_the_range_coder() -> None:
    text = section("Entropy coding")
    match = re.search(r"```hex\n([0-9a-f \n]+)```", text)
    assert match
    coder = Decoder.start(bytes.fromhex(match[1]), new_contexts(1))
    cdf, _ = tables([5, 3, 2])
    assert [decode_bit(coder, 0) for _ in range(4)] == [0, 0, 1, 0]
    assert decode_raw(coder, 5) == 19
    assert [decode_symbol(coder, cdf[0], 3) for _ in range(3)] == [2, 0, 1]
    assert decode_raw(coder, 16) == 0xBEEF
    assert decode_symbol(coder, cdf[0], 3) == 2
    assert coder.left <= 0
    fast, slow = coder.contexts[0]
    assert f"f = {fast}, s = {slow}" in text
    assert f"cdf = {' '.join(map(str, cdf[0]))}" in text
