"""docs/format.md says what the code does: its tables of constants, its contexts and filters, its
worked example."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise
from types import ModuleType

import pytest
from support.paths import ROOT
from support.symbol_tables import tables

from vqcodec import picture
from vqcodec.codec import (
    adaptive_filter,
    bars,
    codebooks,
    contexts,
    deblocking,
    detail_syntax,
    frame_decoder,
    frame_head,
    gop_structure,
    motion_compensation,
    motion_field,
    motion_syntax,
    painted_blocks,
    painted_samples,
    range_coder,
    weighting,
)
from vqcodec.codec.nets import ranges, shape
from vqcodec.codec.range_coder import Decoder, decode_bit, decode_raw, decode_symbol, new_contexts

TEXT = (ROOT / "docs" / "format.md").read_text()


def section(name: str) -> str:
    return TEXT.split(f"\n## {name}\n")[1].split("\n## ")[0]


def prose(name: str) -> str:
    """A section with its lines joined, as sentences don't mind where lines end."""
    return " ".join(section(name).split())


def tables_of(text: str, header: str) -> dict[str, list[str]]:
    """Rows of all tables whose header begins with these cells, by their first cell."""
    found: dict[str, list[str]] = {}
    for table in re.findall(
        rf"^{re.escape(header)}.*\n\|[-| ]+\n((?:\|.*\n)+)", text, re.MULTILINE
    ):
        for line in table.splitlines():
            first, *others = (cell.strip() for cell in line.strip("|").split("|"))
            found[first] = others
    return found


def number(text: str) -> float:
    """A value as the document writes it: 64, 2^24 or 1/8."""
    if "^" in text:
        base, exponent = map(int, text.split("^"))
        return base**exponent
    return float(Fraction(text))


# where the code has the constants of each section
OWNERS: dict[str, tuple[ModuleType, ...]] = {
    "GOP body": (picture, gop_structure, frame_head, frame_decoder),
    "Entropy coding": (range_coder, codebooks),
    "Motion": (motion_field, motion_syntax),
    "Weighted prediction": (weighting,),
    "Painted blocks": (painted_blocks, painted_samples),
    "Deblocking": (deblocking,),
    "Adaptive loop filter": (adaptive_filter,),
    "Bars": (bars,),
    "Latents": (codebooks, shape),
    "Networks": (ranges, shape),
}
DECODER = re.findall(r"^## (.+)$", TEXT.split("## Conventions of the decoder")[1], re.MULTILINE)


@pytest.mark.parametrize("title", DECODER)
def test_every_constant_has_its_name_in_the_code(title: str) -> None:
    for names, (values, *_) in tables_of(section(title), "| name | value |").items():
        for name, value in zip(names.split(", "), values.split(", "), strict=True):
            found = {getattr(m, name) for m in OWNERS.get(title, ()) if hasattr(m, name)}
            assert found == {number(value)}, f"{title}: {name}"


def test_the_document_has_constants() -> None:
    assert all(tables_of(section(title), "| name | value |") for title in OWNERS)


def documented_contexts() -> dict[str, list[str]]:
    """Rows (first, number, index) of the tables of contexts, by their names in the code."""
    header = "| contexts | first | number | index |"
    detail = tables_of(section("Detail"), header)
    named = tables_of(section("Motion"), header) | tables_of(section("Painted blocks"), header)
    return named | {f"DETAIL_{k}": row for k, row in detail.items()}


def test_every_context_has_its_name_in_the_code() -> None:
    found = {name: int(row[1]) for name, row in documented_contexts().items()}
    assert found == contexts.NUMBER
    for name, row in documented_contexts().items():
        assert getattr(contexts, name) == int(row[0]), name


def test_contexts_do_not_overlap() -> None:
    runs = sorted((getattr(contexts, name), n) for name, n in contexts.NUMBER.items())
    for (first, count), (following, _) in pairwise(runs):
        assert first + count <= following
    assert sum(runs[-1]) == contexts.CONTEXTS
    assert f"There are {contexts.CONTEXTS} contexts" in prose("Motion")


@pytest.mark.parametrize(
    ("name", "stride"),
    [
        ("SPLIT", contexts.NEIGHBOURS),
        ("MERGE", contexts.NEIGHBOURS),
        ("MVD_CLASS", contexts.VECTOR_COMPONENT),
        ("MVD_TOP", contexts.VECTOR_COMPONENT),
        ("DETAIL_BLOCK", contexts.COUNTED),
        ("DETAIL_LAST", contexts.BLOCK_KIND),
        ("DETAIL_SIG", contexts.BLOCK_KIND),
        ("DETAIL_GT1", contexts.COUNTED),
        ("DETAIL_MAG", contexts.MAGNITUDES),
        ("WEIGHT_CLASS", 2 * contexts.DIFFERENCE),
        ("PAINTED_FLAT", contexts.FLAT_STATES),
        ("PAINTED_COLOUR", painted_samples.COLOURS),
        ("PAINTED_GUESS", contexts.GUESS_STATES * painted_samples.GUESSES),
        ("PAINTED_LENGTH", contexts.ACTIVITIES * painted_samples.LENGTHS),
        ("PAINTED_TOP", contexts.ACTIVITIES * painted_samples.LENGTHS),
        ("PAINTED_SIGN", contexts.ACTIVITIES),
        ("FILTER_INDEX", 1 << adaptive_filter.INDEX_BITS),
    ],
)
def test_strides_of_contexts(name: str, stride: int) -> None:
    assert documented_contexts()[name][2].startswith(f"{stride} * ")


def test_a_vector_difference_has_a_context_for_each_of_its_bits() -> None:
    assert contexts.VECTOR_COMPONENT == motion_syntax.MVD_BITS + 1


def test_strengths_of_the_deblocking_filter() -> None:
    rows = tables_of(section("Deblocking"), "| strength | tc, beta |")
    said = {int(i): tuple(map(int, values.split())) for i, (values,) in rows.items()}
    pairs = zip(deblocking.TC.tolist(), deblocking.BETA.tolist(), strict=True)
    assert {0: (0, 0)} | said == dict(enumerate(pairs))
    assert len(said) + 1 == deblocking.STRENGTHS


def test_steps_of_the_detail() -> None:
    assert "T = 64 72 81 91 102 114," in prose("Detail")
    assert [detail_syntax.step8(i) for i in (0, 1, 5, 6, 63)] == [8, 9, 14, 16, 11648]
    assert f"a step index of {detail_syntax.STEP_BITS} raw bits" in prose("Detail")
    assert detail_syntax.STEPS == 1 << detail_syntax.STEP_BITS


def test_magnitudes_of_the_detail() -> None:
    assert f"n raw ones (at most {detail_syntax.MAGNITUDE_BITS})" in prose("Detail")
    assert f"min(a + 1, {detail_syntax.MAX_LEVEL})" in prose("Detail")


def test_scan_of_the_detail() -> None:
    assert f"{' '.join(map(str, detail_syntax.ZIGZAG))} for mode 0" in prose("Detail")


def test_filters_are_those_of_the_code() -> None:
    for title, taps in (
        ("quarter", motion_compensation.LUMA),
        ("eighth", motion_compensation.CHROMA),
    ):
        table = tables_of(section("Motion"), f"| {title} |")
        assert [row[0] for row in table.values()] == [" ".join(map(str, row)) for row in taps]


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
