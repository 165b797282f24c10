"""Where the header fields of a TIFF lie in its bytes, so that they can be spoiled one by one."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Field", "Layout", "layout_of"]

SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
SIZES |= {16: 8, 17: 8, 18: 8}
SUB_IFDS = 330
MOST_PAGES = 32


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of a page's list of tags.

    Parameters
    ----------
    place : int
        Of the entry: tag, type, count and value follow each other.
    tag, kind, count : int
        As stored; `kind` is the type.
    values : int
        Where the values lie, in the entry or elsewhere.
    """

    place: int
    tag: int
    kind: int
    count: int
    values: int

    @property
    def size(self) -> int:
        """Bytes of one value."""
        return SIZES.get(self.kind, 1)


@dataclass(frozen=True, slots=True)
class Layout:
    """A TIFF's header fields.

    Parameters
    ----------
    is_big : bool
        BigTIFF.
    order : str
        Of bytes, as `struct` writes it.
    fields : tuple of Field
        Of all pages.
    pages : tuple of int
        Where the pages' lists of tags begin.
    nexts : tuple of int
        Where each page's pointer to the next one lies.
    """

    is_big: bool
    order: str
    fields: tuple[Field, ...]
    pages: tuple[int, ...]
    nexts: tuple[int, ...]

    @property
    def pointer(self) -> str:
        """How a place in the file is stored."""
        return self.order + ("Q" if self.is_big else "I")

    def value_place(self, field: Field) -> int:
        """Where the entry holds its value, or the place of its values."""
        return field.place + (12 if self.is_big else 8)

    def count_place(self, field: Field) -> int:
        """Where the entry holds the number of its values."""
        return field.place + 4


def layout_of(data: bytes | bytearray) -> Layout:
    """Return where the fields of a sound TIFF lie, its SubIFDs' among them."""
    order = "<" if data[:2] == b"II" else ">"
    is_big = struct.unpack_from(order + "H", data, 2)[0] == 43
    pointer = order + ("Q" if is_big else "I")
    fields: list[Field] = []
    pages: list[int] = []
    nexts: list[int] = []
    waiting = [struct.unpack_from(pointer, data, 8 if is_big else 4)[0]]
    while waiting and len(pages) < MOST_PAGES:
        page = waiting.pop(0)
        if not page or page in pages:
            continue
        found = list(_fields(data, page, order, is_big))
        end = page + (8 + 20 * len(found) if is_big else 2 + 12 * len(found))
        pages.append(page)
        nexts.append(end)
        fields += found
        waiting.append(struct.unpack_from(pointer, data, end)[0])
        for field in found:
            if field.tag == SUB_IFDS:
                kind = order + f"{field.count}" + ("Q" if field.size == 8 else "I")
                waiting += struct.unpack_from(kind, data, field.values)
    return Layout(is_big, order, tuple(fields), tuple(pages), tuple(nexts))


def _fields(data: bytes | bytearray, page: int, order: str, is_big: bool) -> Iterator[Field]:
    entry, room, head = (20, 8, 8) if is_big else (12, 4, 2)
    (n_fields,) = struct.unpack_from(order + ("Q" if is_big else "H"), data, page)
    for number in range(n_fields):
        place = page + head + entry * number
        tag, kind, count = struct.unpack_from(order + ("HHQ" if is_big else "HHI"), data, place)
        values = place + entry - room
        if SIZES.get(kind, 1) * count > room:
            (values,) = struct.unpack_from(order + ("Q" if is_big else "I"), data, values)
        yield Field(place, tag, kind, count, values)
