"""Ways to spoil a TIFF, SVS or NDPI that need to know its layout."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable

import imagecodecs
import numpy as np

from torture.slides.tiff_fields import SUB_IFDS, Field, Layout, layout_of

__all__ = ["TIFF_WAYS"]

WIDTH, LENGTH, TILE_WIDTH, TILE_LENGTH, ROWS_PER_STRIP = 256, 257, 322, 323, 278
OFFSETS, COUNTS = (273, 324), (279, 325)
COMPRESSION, DESCRIPTION, BITS, SAMPLES = 259, 270, 258, 277
EXTREMES = (
    0, 1, 2, 3, 7, 127, 128, 255, 256, 32_767, 32_768, 65_535, 65_536, 2**20, 2**24, 2**28, 2**30,
    2**31 - 1, 2**31, 2**32 - 8, 2**32 - 1, 2**40, 2**48, 2**62, 2**63 - 1, 2**63, 2**64 - 1,
)  # fmt: skip
_WHOLE = {1: "B", 2: "H", 4: "I", 8: "Q"}
_BOMB = 256 * 2**20
_LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY a "ha">'
    + b"".join(
        b'<!ENTITY %c "%s">' % (98 + depth, b"&%c;" % (97 + depth) * 10) for depth in range(9)
    )
    + b"]><OME><Image><Pixels SizeX='&j;' Type='uint8'/></Image></OME>"
)


def extreme(data: bytearray, chance: random.Random) -> None:
    """Set one to three fields' values, counts or types to extremes."""
    layout = layout_of(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        field = chance.choice(layout.fields)
        where = chance.choice(("value", "value", "value", "count", "type", "all"))
        if where == "value":
            _put(data, layout, field, chance.randrange(field.count), chance.choice(EXTREMES))
        elif where == "count":
            _pack(data, layout.pointer, layout.count_place(field), chance.choice(EXTREMES))
        elif where == "type":
            _pack(data, layout.order + "H", field.place + 2, chance.randrange(20))
        else:
            value = chance.choice(EXTREMES)
            for index in range(min(field.count, 64)):
                _put(data, layout, field, index, value)


def swapped(data: bytearray, chance: random.Random) -> None:
    """Let fields, tiles or pages change places, or point to a place that is none of theirs."""
    layout = layout_of(data)
    way = chance.choice(("fields", "tiles", "anywhere", "entries", "counts as places"))
    lists = [field for field in layout.fields if field.tag in OFFSETS + COUNTS and field.count > 1]
    if way == "tiles" and lists:
        field = chance.choice(lists)
        places = [field.values + chance.randrange(field.count) * field.size for _ in range(2)]
        _exchange(data, places, field.size)
    elif way == "entries":
        places = [chance.choice(layout.fields).place for _ in range(2)]
        _exchange(data, places, 20 if layout.is_big else 12)
    elif way == "anywhere":
        field = chance.choice(layout.fields)
        odd = (0, field.place, len(data) - 1, chance.choice(layout.pages))
        place = chance.choice((*odd, chance.randrange(len(data))))
        _pack(data, layout.pointer, layout.value_place(field), place)
    elif way == "counts as places" and lists:
        field = chance.choice(lists)
        for index in range(field.count):
            _put(data, layout, field, index, chance.randrange(len(data)))
    else:
        places = [layout.value_place(chance.choice(layout.fields)) for _ in range(2)]
        _exchange(data, places, struct.calcsize(layout.pointer))


def cyclic(data: bytearray, chance: random.Random) -> None:
    """Let a page name itself or an earlier one as the next, or as its own coarser level."""
    layout = layout_of(data)
    nested = [field for field in layout.fields if field.tag == SUB_IFDS]
    target = chance.choice(layout.pages)
    if nested and chance.random() < 0.5:
        _put(data, layout, chance.choice(nested), 0, target)
    elif chance.random() < 0.3:  # any field becomes the list of coarser levels
        field = chance.choice(layout.fields)
        _pack(data, layout.order + "HH", field.place, SUB_IFDS, 16 if layout.is_big else 4)
        _pack(data, layout.pointer, layout.count_place(field), 1)
        _pack(data, layout.pointer, layout.value_place(field), target)
    else:
        _pack(data, layout.pointer, chance.choice(layout.nexts), target)


def giant(data: bytearray, chance: random.Random) -> None:
    """Claim sizes of pictures, tiles or samples that no slide has."""
    layout = layout_of(data)
    pages = [
        [field for field in layout.fields if start <= field.place < start + 2000]
        for start in layout.pages
    ]
    page = {field.tag: field for field in chance.choice(pages)}
    groups = (
        (WIDTH, LENGTH),
        (WIDTH,),
        (LENGTH,),
        (TILE_WIDTH, TILE_LENGTH),
        (TILE_WIDTH,),
        (ROWS_PER_STRIP,),
        (WIDTH, LENGTH, TILE_WIDTH, TILE_LENGTH),
        (BITS, SAMPLES),
        (SAMPLES,),
    )
    size = chance.choice((2**14, 2**15, 2**16, 2**18, 2**20, 2**24, 2**30, 2**31, 2**32 - 1))
    for tag in chance.choice(groups):
        if tag in page:
            field = page[tag]
            _pack(data, layout.order + "H", field.place + 2, 4)
            _pack(data, layout.pointer, layout.count_place(field), 1)
            _pack(data, layout.pointer, layout.value_place(field), size)


def bomb(data: bytearray, chance: random.Random) -> None:
    """Put in data that unpacks to far more than it should be, or claims to."""
    layout = layout_of(data)
    way = chance.choice((_packed, _packed, _pictures, _description))
    way(data, layout, chance)


def _packed(data: bytearray, layout: Layout, chance: random.Random) -> None:
    """Let a tile or strip be a bomb that lies at the end of the file."""
    code, make = chance.choice(tuple(_BOMBS.items()))
    offsets = [field for field in layout.fields if field.tag in OFFSETS]
    field = chance.choice(offsets)
    number = offsets.index(field)
    counts = [field for field in layout.fields if field.tag in COUNTS]
    kinds = [field for field in layout.fields if field.tag == COMPRESSION]
    index = chance.randrange(field.count)
    packed = make()
    _put(data, layout, field, index, len(data))
    if number < len(counts) and index < counts[number].count:
        _put(data, layout, counts[number], index, len(packed))
    if number < len(kinds) and chance.random() < 0.7:
        _put(data, layout, kinds[number], 0, code)
    data += packed


def _pictures(data: bytearray, layout: Layout, chance: random.Random) -> None:
    """Let pictures in tiles claim another size in their own headers."""
    size = chance.choice((0, 1, 4096, 20_000, 65_500, 65_535))
    place = -1
    for _ in range(chance.choice((1, 3, 100))):
        place = data.find(b"\xff\xc0\x00\x11\x08", place + 1)
        if place >= 0:
            _pack(data, ">HH", place + 5, size, size)
        else:
            break
    place = data.find(b"\xff\x4f\xff\x51")
    if place >= 0:
        claimed = chance.choice((size, 2**20, 2**31, 2**32 - 1))
        _pack(data, ">II", place + 8, claimed, claimed)


def _description(data: bytearray, layout: Layout, chance: random.Random) -> None:
    """Let the description be XML that unfolds to 10^9 words, or be very long."""
    fields = [field for field in layout.fields if field.tag == DESCRIPTION]
    text = chance.choice((_LAUGHS, b"Aperio " + b"|" * 2**20, b"<OME>" * 50_000)) + b"\0"
    field = chance.choice(fields or list(layout.fields))
    _pack(data, layout.order + "HH", field.place, DESCRIPTION, 2)
    _pack(data, layout.pointer, layout.count_place(field), len(text))
    _pack(data, layout.pointer, layout.value_place(field), len(data))
    data += text


def _deflated() -> bytes:
    packer = zlib.compressobj(9)
    block = bytes(2**20)
    return b"".join(packer.compress(block) for _ in range(_BOMB // 2**20)) + packer.flush()


def _lzw() -> bytes:
    return bytes(imagecodecs.lzw_encode(bytes(2**24)))


def _kept(make: Callable[[], bytes]) -> Callable[[], bytes]:
    made: list[bytes] = []

    def get() -> bytes:
        if not made:
            made.append(make())
        return made[0]

    return get


_BOMBS: dict[int, Callable[[], bytes]] = {
    8: _kept(_deflated),
    32946: _kept(_deflated),
    5: _kept(_lzw),
    32773: _kept(lambda: b"\x81\0" * 2**18),
    7: _kept(lambda: bytes(imagecodecs.jpeg8_encode(np.zeros((8000, 8000, 3), np.uint8)))),
    34712: _kept(lambda: bytes(imagecodecs.jpeg2k_encode(np.zeros((3000, 3000, 3), np.uint8)))),
    50000: _kept(lambda: bytes(imagecodecs.zstd_encode(bytes(_BOMB)))),
    50001: _kept(lambda: bytes(imagecodecs.webp_encode(np.zeros((9000, 9000, 3), np.uint8)))),
}

TIFF_WAYS = {
    "header fields at extremes": extreme,
    "swapped and stray offsets": swapped,
    "cyclic pages": cyclic,
    "giant dimensions": giant,
    "compression bombs": bomb,
}


def _put(data: bytearray, layout: Layout, field: Field, index: int, value: int) -> None:
    kind = _WHOLE.get(field.size, "B")
    _pack(data, layout.order + kind, field.values + index * field.size, value)


def _exchange(data: bytearray, places: list[int], size: int) -> None:
    one, other = (slice(place, place + size) for place in places)
    first, second = data[one], data[other]
    data[one], data[other] = second, first


def _pack(data: bytearray, kind: str, place: int, *values: int) -> None:
    """Write numbers cut to what fits, unless an earlier spoiling has moved the place away."""
    size = struct.calcsize(kind)
    if 0 <= place <= len(data) - size:
        bits = 8 * size // len(values)
        struct.pack_into(kind, data, place, *(value & (2**bits - 1) for value in values))
