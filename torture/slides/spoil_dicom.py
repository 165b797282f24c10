"""Ways to spoil a DICOM file that need to know its elements."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["DICOM_WAYS"]

_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_ITEM, _NO_SIZE = 0xFFFE, 0xFFFFFFFF
_KINDS = b"AE AS AT CS DA DS DT FD FL IS LO LT OB OF OW PN SH SL SQ SS ST TM UI UL UN US UT".split()
_SIZES = {(0x28, 0x10), (0x28, 0x11), (0x48, 6), (0x48, 7), (0x28, 8), (0x28, 2), (0x28, 0x100)}
_SIZES |= {(0x48, 0x303), (0x28, 0x101), (0x28, 0x102)}


@dataclass(frozen=True, slots=True)
class _Element:
    place: int
    tag: tuple[int, int]
    is_long: bool
    size: int
    value: int

    @property
    def size_place(self) -> int:
        return self.place + (8 if self.is_long else 6)


def extreme(data: bytearray, chance: random.Random) -> None:
    """Set lengths, kinds or values of elements to extremes."""
    elements = list(_elements(data))
    for _ in range(chance.choice((1, 1, 2, 3))):
        one = chance.choice(elements)
        way = chance.choice(("size", "kind", "value", "value"))
        if way == "size":
            _set_size(data, one, chance.choice((0, 1, 3, 0xFFFF, 2**31 - 1, 2**31, _NO_SIZE)))
        elif way == "kind" and one.tag[0] != _ITEM:
            data[one.place + 4 : one.place + 6] = chance.choice(_KINDS)
        elif 0 < one.size < 2**16:
            filler = chance.choice((b"\0", b"\xff", b"9", b"-", b"\x80", b"%", b"\\"))
            data[one.value : one.value + one.size] = filler * one.size


def swapped(data: bytearray, chance: random.Random) -> None:
    """Let elements change their tags, or their lengths."""
    elements = list(_elements(data))
    one, other = chance.choice(elements), chance.choice(elements)
    if chance.random() < 0.5:
        first, second = bytes(data[one.place : one.place + 6]), bytes(data[other.place :][:6])
        data[one.place : one.place + 6], data[other.place : other.place + 6] = second, first
    else:
        _set_size(data, one, other.size)
        _set_size(data, other, one.size)


def cyclic(data: bytearray, chance: random.Random) -> None:
    """Nest sequences within each other, many thousand deep: the DICOM kin of a cycle."""
    elements = [one for one in _elements(data) if one.tag[0] > 2 and one.tag[0] != _ITEM]
    place = chance.choice(elements).place
    sequence = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, _NO_SIZE)
    item = struct.pack("<HHI", _ITEM, 0xE000, _NO_SIZE)
    data[place:place] = (sequence + item) * chance.choice((10, 100, 5_000, 100_000))


def giant(data: bytearray, chance: random.Random) -> None:
    """Claim sizes that no slide has."""
    elements = [one for one in _elements(data) if one.tag in _SIZES]
    for one in chance.sample(elements, chance.randrange(1, 4)):
        if data[one.place + 4 : one.place + 6] == b"IS":
            text = chance.choice((b"0", b"-1", b"2147483647", b"99999999999")).ljust(one.size)
            data[one.value : one.value + one.size] = text[: one.size]
        elif one.size in (2, 4):
            value = chance.choice((0, 1, 2**15, 2**16 - 1, 2**20, 2**31 - 1, 2**32 - 1))
            data[one.value : one.value + one.size] = value.to_bytes(8, "little")[: one.size]


def bomb(data: bytearray, chance: random.Random) -> None:
    """Let frames claim another size in their own headers, or another compression."""
    size = chance.choice((0, 1, 8, 4096, 20_000, 65_500, 65_535))
    place = -1
    for _ in range(chance.choice((1, 3, 100))):
        place = data.find(b"\xff\xc0\x00\x11\x08", place + 1)
        if place < 0:
            break
        struct.pack_into(">HH", data, place + 5, size, size)
    if chance.random() < 0.3:
        syntaxes = (b"1.2.840.10008.1.2.4.90", b"1.2.840.10008.1.2.4.91", b"1.2.840.10008.1.2.1")
        old = b"1.2.840.10008.1.2.4.50"
        place = data.find(old)
        if place >= 0:
            data[place : place + len(old)] = chance.choice(syntaxes).ljust(len(old), b"\0")


DICOM_WAYS = {
    "header fields at extremes": extreme,
    "swapped and stray offsets": swapped,
    "cyclic pages": cyclic,
    "giant dimensions": giant,
    "compression bombs": bomb,
}


def _elements(data: bytearray) -> Iterator[_Element]:
    """Walk a sound file in explicit little endian, into its sequences."""
    place = 132
    while place + 12 <= len(data):
        group, number, kind, short = struct.unpack_from("<HH2sH", data, place)
        if group == _ITEM:
            (size,) = struct.unpack_from("<I", data, place + 4)
            yield _Element(place, (group, number), False, size, place + 8)
            # Frames are items that hold bytes; the items of a sequence hold elements.
            holds_bytes = number == 0xE000 and data[place + 8 : place + 10] == b"\xff\xd8"
            place += 8 + (size if holds_bytes and size != _NO_SIZE else 0)
            continue
        is_long = kind in _LONG
        size = struct.unpack_from("<I", data, place + 8)[0] if is_long else short
        value = place + (12 if is_long else 8)
        yield _Element(place, (group, number), is_long, size, value)
        place = value + (0 if size == _NO_SIZE or kind == b"SQ" else size)


def _set_size(data: bytearray, one: _Element, size: int) -> None:
    if one.tag[0] == _ITEM:
        struct.pack_into("<I", data, one.place + 4, size)
    elif one.is_long:
        struct.pack_into("<I", data, one.size_place, size)
    else:
        struct.pack_into("<H", data, one.size_place, size & 0xFFFF)
