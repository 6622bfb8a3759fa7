"""Messages of frames that no honest writer sends: made from an honest one, by a seed."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tests.faults.wire import raw_frame, split

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    7,
    2**31,
    2**32,
    2**53,
    2**63,
    2**64,
    10**40,
    -(2**63) - 1,
    0.5,
    1e308,
    "",
    "int",
    "float",
    "text",
    "bool",
    "rows",
    "skip",
    "append",
    "u1",
    "f8",
    "i8",
    "\0",
    "\ud800",
    "x" * 5_000,
    "00000000-0000-0000-0000-000000000000",
    [],
    {},
    [[]],
    [1, 2, 3],
    {"a": 1},
    [[0, 8]],
    [[0, 2**62]],
    [[2**62, 8]],
    [[-8, 8]],
    [[0, 8], [0, 8], [0, 8], [0, 8]],
]
LENGTHS = [0, 8, 16, 2**20, 2**20 + 8, 2**31, 2**32 - 8, 2**40, 2**63, 2**64 - 8]


def noise(message: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(300))


def truncated(message: bytes, chance: random.Random) -> bytes:
    return message[: chance.randrange(len(message))]


def flipped(message: bytes, chance: random.Random) -> bytes:
    broken = bytearray(message)
    for _ in range(chance.randint(1, 6)):
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
    return bytes(broken)


def cut(message: bytes, chance: random.Random) -> bytes:
    """A piece left out or doubled, of eight bytes each, so that what follows stays aligned."""
    start, stop = sorted(chance.randrange(len(message) // 8) * 8 for _ in range(2))
    return message[:start] + message[start:stop] * chance.choice([0, 2]) + message[stop:]


def wrong_lengths(message: bytes, chance: random.Random) -> bytes:
    """Sizes in a frame's first 16 bytes that are not those of what follows."""
    starts, at = [], 0
    while at < len(message):
        starts.append(at)
        _, header, body = struct.unpack_from("<4sIQ", message, at)
        at += 16 + header + body
    at, broken = chance.choice(starts), bytearray(message)
    if chance.random() < 0.5:
        struct.pack_into("<I", broken, at + 4, chance.choice(LENGTHS) % 2**32)
    else:
        struct.pack_into("<Q", broken, at + 8, chance.choice(LENGTHS))
    return bytes(broken)


def swapped(message: bytes, chance: random.Random) -> bytes:
    """Anything in a header replaced by something of another type, size or meaning."""
    frames = split(message)
    header, _ = chance.choice(frames)
    for _ in range(chance.randint(1, 3)):
        place: Any = header
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = chance.choice(keys)
            if isinstance(place[key], dict | list) and place[key] and chance.random() < 0.7:
                place = place[key]
                continue
            if chance.random() < 0.15:
                del place[key]
            else:
                place[key] = deepcopy(chance.choice(VALUES))
            break
    return b"".join(raw_frame(json.dumps(header).encode(), body) for header, body in frames)


def reordered(message: bytes, chance: random.Random) -> bytes:
    """Frames in another order, doubled, or without those before them."""
    frames = [raw_frame(json.dumps(header).encode(), body) for header, body in split(message)]
    return b"".join(chance.choices(frames, k=chance.randint(1, 6)))


def nested(message: bytes, chance: random.Random) -> bytes:
    """Headers that are deep, or no object, or no JSON, or bigger than they may be."""
    deep = chance.randint(1, 3_000)
    header = chance.choice(
        [
            b"[" * deep + b"]" * deep,
            b'{"kind":' + b'{"a":' * deep + b"1" + b"}" * deep + b"}",
            b'{"kind":"append","generation":1e999}',
            b'{"kind":"append","generation":NaN}',
            b'{"kind":"append","generation":' + b"9" * chance.randint(1, 6_000) + b"}",
            b"\xff\xfe" + message[:100],
            b" " * chance.randint(0, 2**20 + 16),
            b'"append"',
            b"5",
        ]
    )
    return raw_frame(header, b"") + message


WAYS: list[Callable[[bytes, random.Random], bytes]] = [
    noise,
    truncated,
    flipped,
    cut,
    wrong_lengths,
    swapped,
    swapped,
    reordered,
    nested,
]


def mangle(message: bytes, chance: random.Random) -> bytes:
    return chance.choice(WAYS)(message, chance)
