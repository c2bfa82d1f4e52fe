"""Section Painted blocks: samples that are coded as they are."""

from __future__ import annotations

import numpy as np

from .entropy import RangeDecoder

FRAME, FOLLOW, MAP, FLAT, COLOUR, GUESS, LENGTH, TOP, SIGN = (
    376,
    377,
    378,
    381,
    389,
    393,
    777,
    873,
    969,
)
SHIFT_BITS = 3
SLOT_BITS = 18
TRUST = 3
TURN = 0x9E3779B97F4A7C15
LONGEST = 11
REACH = 2
START = (64, 512, 512)
AROUND, ERROR, FAR, NEAR, ALONE = range(5)

Rule = tuple[np.ndarray, int, int]  # painted blocks, follow, shift
Slots = dict[int, int]  # by number of the dictionary


def slot(numbers: list[int]) -> int:
    k = 0
    for v in numbers:
        k = (k + v) * TURN % (1 << 64)
    return k >> (64 - SLOT_BITS)


class Plane:
    """A plane in which samples outside have one value, but for those below, which repeat it."""

    def __init__(self, samples: np.ndarray, start: int):
        self.s, self.start = samples.astype(int), start

    def at(self, y: int, x: int) -> int:
        if y < 0 or not 0 <= x < self.s.shape[1]:
            return self.start
        return int(self.s[min(y, self.s.shape[0] - 1), x])


class Dictionaries:
    """What stood behind the keys, and how far it is trusted."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, int], tuple[int, int]] = {}

    def learn(self, slots: Slots, value: int) -> None:
        for place in slots.items():
            old, trust = self.known.get(place, (value, -1))
            if old == value:
                self.known[place] = value, min(trust + 1, TRUST)
            elif trust == 0:
                self.known[place] = value, 0
            else:
                self.known[place] = old, {1: 0, 2: 1, 3: 1}[trust]


class Painter:
    """Paints one plane of a frame."""

    def __init__(
        self,
        s: RangeDecoder,
        k: int,
        rule: tuple[int, int],
        q: np.ndarray,
        before: list[Plane],
    ):
        """k: number of the plane; rule: follow and shift; q: prediction; before: painted planes."""
        self.s, self.k, self.chroma = s, k, int(k > 0)
        self.follow, self.shift = rule
        self.q, self.p = Plane(q, START[k]), Plane(q, START[k])
        self.before, self.dictionaries = before, Dictionaries()

    def slots(self, y: int, x: int, follow: int) -> Slots:
        p, q = self.p.at, self.q.at
        w, n = p(y, x - 1), p(y - 1, x)
        near = [w, n, p(y - 1, x - 1), p(y - 1, x + 1)]
        far = [*near, p(y, x - 2), p(y, x - 3), p(y - 1, x - 2), p(y - 1, x + 2)]
        far += [p(y - 2, x - 1), p(y - 2, x), p(y - 2, x + 1)]
        alone = [q(y, x) if follow else 0]
        if self.k:
            luma = self.before[0].at
            inside = [luma(2 * y + i, 2 * x + j) for i in (0, 1) for j in (0, 1)]
            near = near + inside
            far += [luma(2 * y - 1 + i, 2 * x - 1 + j) for i in range(4) for j in range(4)]
            alone.append(sum(inside) if self.k == 1 else self.before[1].at(y, x))
        found = {FAR: slot(far), NEAR: slot(near)}
        if follow:
            nine = [q(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            found[AROUND] = slot([w, n, *nine])
            found[ERROR] = slot([q(y, x), w - q(y, x - 1) + 1024, n - q(y - 1, x) + 1024])
        if follow or self.k:
            found[ALONE] = slot(alone)
        return found

    def learn_direct(self, y: int, x: int) -> None:
        slots = self.slots(y, x, 0)
        self.dictionaries.learn({d: slots[d] for d in (FAR, NEAR)}, self.p.at(y, x))

    def sample(self, y: int, x: int) -> None:
        slots = self.slots(y, x, self.follow)
        value = self.guessed(y, x, slots)
        if value is None:
            value = self.different(y, x)
        self.p.s[y, x] = value
        self.dictionaries.learn(slots, value)

    def guessed(self, y: int, x: int, slots: Slots) -> int | None:
        p, known = self.p.at, self.dictionaries.known
        guesses = {d: known[d, slots[d]] for d in sorted(slots) if (d, slots[d]) in known}
        if self.follow:
            guesses[5] = self.q.at(y, x), -1
        guesses[6], guesses[7] = (p(y, x - 1), -1), (p(y - 1, x), -1)
        even = len({p(y, x - 1), p(y - 1, x), p(y - 1, x - 1), p(y - 1, x + 1)}) == 1
        tried: list[int] = []
        for g, (value, trust) in guesses.items():
            if value in tried:
                continue
            agreeing = sum(v == value for other, (v, _) in guesses.items() if other > g)
            level = trust if g < 5 else min(3, len(tried))
            state = 6 * level + 2 * min(2, agreeing) + even
            if not self.s.bit(GUESS + 192 * self.chroma + 24 * g + state):
                return value
            tried.append(value)
        return None

    def different(self, y: int, x: int) -> int:
        p = self.p.at
        w, n, nw, ne = p(y, x - 1), p(y - 1, x), p(y - 1, x - 1), p(y - 1, x + 1)
        d = abs(w - nw) + abs(n - nw) + abs(n - ne)
        kind = 4 * self.chroma + sum(d > limit for limit in (32, 128, 512))
        middle = self.q.at(y, x) if self.follow else sorted((w, n, w + n - nw))[1]
        value = (middle >> self.shift) + self.number(kind) << self.shift
        return max(0, min(1023, value))

    def number(self, kind: int) -> int:
        length = 0
        while length < LONGEST and self.s.bit(LENGTH + 12 * kind + length):
            length += 1
        if length == 0:
            return 0
        size = 1
        if length > 1:
            size = 2 + self.s.bit(TOP + 12 * kind + length)
        if length > 2:
            size = size << (length - 2) | self.s.raw(length - 2)
        return -size if self.s.bit(SIGN + kind) else size


def painted_blocks(s: RangeDecoder, passed: np.ndarray, predicted: bool) -> Rule | None:
    """Which blocks are painted; None if none is. passed: outside ones and the direct ones of
    coded tiles, bool (rows, columns)."""
    if not s.bit(FRAME):
        return None
    follow = s.bit(FOLLOW) if predicted else 0
    shift = s.raw(SHIFT_BITS)
    painted = np.zeros(passed.shape, bool)
    for y in range(passed.shape[0]):
        for x in range(passed.shape[1]):
            if not passed[y, x]:
                left, above = bool(x and painted[y, x - 1]), bool(y and painted[y - 1, x])
                painted[y, x] = s.bit(MAP + left + above)
    return painted, follow, shift


def paint(
    s: RangeDecoder, rule: Rule, direct: np.ndarray, prediction: list[np.ndarray]
) -> list[np.ndarray]:
    """The planes of the prediction with the painted blocks in them."""
    painted, follow, shift = rule
    before: list[Plane] = []
    even = np.zeros(painted.shape, bool)
    for k in range(3):
        painter = Painter(s, k, (follow, shift), prediction[k], before)
        flat = paint_plane(painter, painted, direct, even)
        if k == 0:
            even = flat
        before.append(painter.p)
    return [plane.s for plane in before]


def paint_plane(
    painter: Painter, painted: np.ndarray, direct: np.ndarray, even: np.ndarray
) -> np.ndarray:
    """Which blocks have one colour. even: those that have one in luma, for the chroma planes."""
    s, p, chroma = painter.s, painter.p, painter.chroma
    size, last = 8 if chroma else 16, START[painter.k]
    flat = np.zeros(painted.shape, bool)
    near = np.zeros(painted.shape, bool)
    for r, c in np.argwhere(painted):
        near[max(0, r - REACH) : r + 1, max(0, c - REACH) : c + REACH + 1] = True
    for y in range(p.s.shape[0]):
        r = y // size
        for c in range(painted.shape[1]):
            if painted[r, c] and y == r * size:
                n = 3 if even[r, c] else int(c and flat[r, c - 1]) + int(r and flat[r - 1, c])
                flat[r, c] = s.bit(FLAT + 4 * chroma + n)
                if flat[r, c]:
                    last = colour(s, COLOUR + 2 * chroma, p, (y, c * size), last)
                    p.s[y : y + size, c * size : (c + 1) * size] = last
            if painted[r, c] and not flat[r, c]:
                for x in range(c * size, (c + 1) * size):
                    painter.sample(y, x)
            elif direct[r, c] and near[r, c]:
                for x in range(c * size, (c + 1) * size):
                    painter.learn_direct(y, x)
    return flat


def colour(s: RangeDecoder, first: int, p: Plane, at: tuple[int, int], last: int) -> int:
    y, x = at
    left, above = p.at(y, x - 1), p.at(y - 1, x)
    if left != last and not s.bit(first):
        return left
    if above not in (last, left) and not s.bit(first + 1):
        return above
    return last
