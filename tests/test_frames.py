"""The JSON of socket frames: read and written fast, and as the standard library would."""

from __future__ import annotations

import datetime
import json
import math
import random
import string
from typing import Any

import pytest

from chat.frames import MALFORMED, FrameJSON

DICE = random.Random(11)
CHARACTERS = string.printable + "äß€\u2028😀\x00\x7f"


def _value(depth: int = 0) -> Any:
    kind = DICE.randrange(8 if depth < 4 else 5)
    if kind == 0:
        return DICE.choice((None, True, False))
    if kind == 1:
        return DICE.randint(-(2**63), 2**63 - 1)
    if kind == 2:
        return DICE.choice((0.0, -0.5, 1e-7, 1e300, DICE.random()))
    if kind < 5:
        return "".join(DICE.choices(CHARACTERS, k=DICE.randrange(12)))
    if kind == 5:
        return [_value(depth + 1) for _ in range(DICE.randrange(5))]
    return {"".join(DICE.choices(CHARACTERS, k=5)): _value(depth + 1) for _ in range(DICE.randrange(5))}


def test_what_it_writes_and_reads_is_what_json_does() -> None:
    for _ in range(2000):
        value = _value()
        assert json.loads(FrameJSON.dumps(value)) == value
        for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
            assert FrameJSON.loads(text) == value


@pytest.mark.parametrize("text", ['"\\ud800"', '["a",{"b":"\\udfff"}]', '"\\ud83d\\ude00"', "-0", '{"a":1,"a":2}'])
def test_what_browsers_can_spell_is_read_as_json_reads_it(text: str) -> None:
    assert FrameJSON.loads(text) == json.loads(text)
    assert json.loads(FrameJSON.dumps(FrameJSON.loads(text))) == json.loads(text)


def test_numbers_beyond_64_bits_are_what_a_browser_makes_of_them() -> None:
    assert FrameJSON.loads("[18446744073709551616]") == [float(2**64)]
    assert json.loads(FrameJSON.dumps([2**64])) == [2**64]


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "01", "NaN", "[Infinity]", "-Infinity", "1e999", "[-1e999]", "9" * 5000, "[" * 100_000),
        *("[1,]", "'a'", '"\x00"', "\ufeff1", "1 2", '{"a"}', "nul"),
    ],
)
def test_what_is_not_json_is_malformed(text: str) -> None:
    assert FrameJSON.loads(text) == [MALFORMED]


@pytest.mark.parametrize("value", [datetime.datetime.now(datetime.UTC), {1, 2}, b"bytes", object()])
def test_what_is_not_json_is_not_written(value: Any) -> None:
    with pytest.raises(TypeError):
        FrameJSON.dumps([value])


def test_no_frame_holds_a_number_that_is_none() -> None:
    assert "NaN" not in FrameJSON.dumps([1.5, None]) + FrameJSON.dumps([math.nan])
