"""The numbers of all adaptive contexts of a frame (docs/format.md, Motion and Detail).

A syntax element has a run of contexts; which one of them codes a bit depends on what is around it.
"""

from __future__ import annotations

# motion and the rest of a frame's head
MAX_DEPTH = 3  # of the quadtree: leaves of 64 to 8 samples
SPLIT = 0
MERGE = 9
MERGE_INDEX = 21
BI_FLAG = 25
LIST_FLAG = 29
MVD_CLASS = 32
MVD_TOP = 64
QDELTA = 96
DIRECT = 104
COPY = 111

# detail
DETAIL_FRAME = 112
DETAIL_CELL = 113
DETAIL_SKIP = 116
DETAIL_BLOCK = 117
DETAIL_LAST = 128
DETAIL_SIG = 192
DETAIL_GT1 = 256
DETAIL_MAG = 262
DETAIL_SIGN = 290
DETAIL_CELL_DIRECT = 296

# frames without prediction, and weights
INTRA = 299
WEIGHT_SETS = 301
BLEND = 304
LEAF_SET = 305
WEIGHT_CLASS = 312

# painted blocks
PAINTED_FRAME = 376
PAINTED_FOLLOW = 377
PAINTED_MAP = 378
PAINTED_FLAT = 381
PAINTED_COLOUR = 389
PAINTED_GUESS = 393
PAINTED_LENGTH = 777
PAINTED_TOP = 873
PAINTED_SIGN = 969

# deblocking filter
DEBLOCK = 977

# coded tiles
TILES = 985

# adaptive loop filter
FILTER = 995
FILTER_INDEX = 997

# bars
BARS = 1077

# intra tiles
INTRA_TILES = 1079

CONTEXTS = 1089  # of a frame

# how many contexts each element has
NUMBER = {
    "SPLIT": 9,
    "MERGE": 12,
    "MERGE_INDEX": 4,
    "BI_FLAG": 4,
    "LIST_FLAG": 1,
    "MVD_CLASS": 32,
    "MVD_TOP": 32,
    "QDELTA": 8,
    "DIRECT": 7,
    "COPY": 1,
    "DETAIL_FRAME": 1,
    "DETAIL_CELL": 3,
    "DETAIL_SKIP": 1,
    "DETAIL_BLOCK": 6,
    "DETAIL_LAST": 64,
    "DETAIL_SIG": 64,
    "DETAIL_GT1": 6,
    "DETAIL_MAG": 28,
    "DETAIL_SIGN": 3,
    "DETAIL_CELL_DIRECT": 3,
    "INTRA": 2,
    "WEIGHT_SETS": 3,
    "BLEND": 1,
    "LEAF_SET": 5,
    "WEIGHT_CLASS": 64,
    "PAINTED_FRAME": 1,
    "PAINTED_FOLLOW": 1,
    "PAINTED_MAP": 3,
    "PAINTED_FLAT": 8,
    "PAINTED_COLOUR": 4,
    "PAINTED_GUESS": 384,
    "PAINTED_LENGTH": 96,
    "PAINTED_TOP": 96,
    "PAINTED_SIGN": 8,
    "DEBLOCK": 8,
    "TILES": 10,
    "FILTER": 2,
    "FILTER_INDEX": 80,
    "BARS": 2,
    "INTRA_TILES": 10,
}

# Strides inside the runs. NEIGHBOURS: of the left and the upper one none, one or both have it.
NEIGHBOURS = 3
VECTOR_COMPONENT = 16  # contexts of MVD_CLASS and MVD_TOP for each component of a vector
BLOCK_KIND = 16  # contexts of DETAIL_LAST and DETAIL_SIG for each mode and each of luma and chroma
MAGNITUDES = 14  # contexts of DETAIL_MAG for each mode
DIFFERENCE = 16  # contexts of WEIGHT_CLASS for each of gains and offsets of luma and chroma
COUNTED = 3  # none, one, or more of them before in the same block or cell
ACTIVITIES = 4  # classes of how much the neighbours of a painted sample differ
GUESS_STATES = 24  # contexts of PAINTED_GUESS for each guess
FLAT_STATES = 4  # contexts of PAINTED_FLAT for each of luma and chroma
