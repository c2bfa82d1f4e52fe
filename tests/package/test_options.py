from __future__ import annotations

from fractions import Fraction

import pytest

from vqcodec.encoding.rate_distortion import PRESETS, RateParameters, rate_parameters
from vqcodec.errors import UsageError
from vqcodec.options import DecodeOptions, EncodeOptions, Limits, Time, changed
from vqcodec.parsing import count, parse_codec_options, parse_count, parse_gop, parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12.5", Fraction(25, 2)),
        ("12.5s", Fraction(25, 2)),
        ("00:01:02.5", Fraction(125, 2)),
        ("1:02", 62),
        ("0", 0),
        (".5", Fraction(1, 2)),
        ("90", 90),
        ("3:00:00", 10800),
    ],
)
def test_times(text: str, seconds: Fraction) -> None:
    assert parse_time(text) == Time(seconds=Fraction(seconds))


def test_frames() -> None:
    assert parse_time("300f") == Time(frames=300)


@pytest.mark.parametrize(
    "text",
    ["", "x", "-1", "1:2:3:4", "1e5", "5ff", "f", "nan", "inf", "1/2", "9" * 1000, "٣", "1:"],
)
def test_bad_times(text: str) -> None:
    with pytest.raises(UsageError, match="allowed"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "rate", "frames"),
    [
        ("60", 25, 60),
        ("300", 25, 128),
        ("2s", 25, 50),
        ("10s", 25, 128),
        ("0.01s", 25, 1),
        ("2s", None, 50),
        ("48f", 1, 48),
    ],
)
def test_gop(text: str, rate: int | None, frames: int) -> None:
    assert (
        EncodeOptions(gop=parse_gop(text)).gop_frames(None if rate is None else Fraction(rate))
        == frames
    )


@pytest.mark.parametrize("text", ["0", "0s", "-3", "x", "", "1.5"])
def test_bad_gop(text: str) -> None:
    with pytest.raises(UsageError, match="allowed"):
        parse_gop(text)


@pytest.mark.parametrize(
    "change",
    [
        {"crf": -1},
        {"crf": 64},
        {"gop": 0},
        {"gop": 129},
        {"threads": -1},
        {"batch": -1},
        {"device": "gpu"},
        {"preset": "quick"},
    ],
)
def test_encode_ranges(change: dict) -> None:
    with pytest.raises(UsageError, match="allowed"):
        EncodeOptions(**change)


def test_a_preset_may_be_trade_offs_of_ones_own() -> None:
    chosen = RateParameters(refine_steps=1)
    assert rate_parameters(EncodeOptions(preset=chosen).preset) is chosen
    assert rate_parameters(EncodeOptions(preset="fast").preset) is PRESETS["fast"]
    with pytest.raises(UsageError, match="texts"):
        EncodeOptions(preset=7.5)  # type: ignore[arg-type]


def test_presets_have_numbers_as_those_of_svt_av1() -> None:
    """Fewer is slower; the same preset by name and by number is one encode."""
    names = [EncodeOptions(preset=str(number)).preset for number in range(14)]
    assert names == sorted(names, key=list(PRESETS).index, reverse=True)
    assert set(names) == set(PRESETS)
    assert EncodeOptions(preset="6").preset == EncodeOptions().preset == "medium"
    assert changed(EncodeOptions(), {"preset": 13}).preset == "fastest"
    for wrong in ("14", "-1", "medium-fast", ""):
        with pytest.raises(UsageError, match="allowed are fastest, .*, and 0 .slowest. to 13"):
            EncodeOptions(preset=wrong)


def test_decode_ranges() -> None:
    DecodeOptions(device="cuda:1")
    with pytest.raises(UsageError):
        DecodeOptions(threads=-1)
    with pytest.raises(UsageError):
        Time()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500", 500),
        ("64k", 64000),
        ("64 KiB", 65536),
        ("64M", 64 * 10**6),
        ("2Gi", 2 << 30),
        ("1tb", 10**12),
        ("0", 0),
    ],
)
def test_counts(text: str, value: int) -> None:
    assert parse_count(text) == value


@pytest.mark.parametrize("value", [0, 1, 1023, 1024, 1 << 18, 64 << 20, 3 << 29, 2 << 30, 1 << 41])
def test_counts_are_written_as_they_are_read(value: int) -> None:
    assert parse_count(count(value)) == value


def test_the_shortest_form_of_a_count_is_written() -> None:
    assert [count(n) for n in (500, 64 << 20, 2 << 30, 256 << 10)] == [
        "500",
        "64Mi",
        "2Gi",
        "256Ki",
    ]


@pytest.mark.parametrize("text", ["", "-1", "1.5G", "x", "5kk", "k", "0x10", "9" * 16])
def test_bad_counts(text: str) -> None:
    with pytest.raises(UsageError, match="allowed"):
        parse_count(text)


def test_limits_are_those_of_the_documentation() -> None:
    assert Limits() == Limits(
        pixels=64 << 20,
        side=16384,
        packet=64 << 20,
        metadata=1 << 20,
        memory=2 << 30,
        frames=1 << 24,
        concealed=1 << 18,
    )
    with pytest.raises(UsageError, match="frames: "):
        Limits(frames=0)


def test_codec_options() -> None:
    assert parse_codec_options("crf=12:preset=fast") == {"crf": "12", "preset": "fast"}
    assert parse_codec_options("") == {}
    with pytest.raises(UsageError):
        parse_codec_options("crf")
