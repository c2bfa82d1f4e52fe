"""The numbers of all adaptive contexts of a frame."""

from __future__ import annotations

# context layout
SPLIT, MERGE, MERGE_INDEX, BI_FLAG, LIST_FLAG, MVD_CLASS, MVD_TOP, QDELTA = (
    0,
    9,
    21,
    25,
    29,
    32,
    64,
    96,
)
DIRECT = 104  # seven contexts of vqcodec/codec/direct_map.py
DETAIL = 112  # the contexts of vqcodec/codec/detail_syntax.py follow
CONTEXTS = DETAIL + 187
