"""How large a compressed picture says that it is, before anyone makes room for its pixels."""

from __future__ import annotations

import struct

__all__ = ["picture_size"]

_J2K_START = b"\xff\x4f\xff\x51"
# A JP2 file has its codestream behind a few boxes.
_J2K_SEARCHED_BYTES = 4096


def picture_size(data: bytes) -> tuple[int, int]:
    """Return the size in the header of a JPEG 2000 or WebP picture.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    height, width : int

    Raises
    ------
    ValueError
        If it is no such picture.
    """
    try:
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_size(data)
        start = data.find(_J2K_START, 0, _J2K_SEARCHED_BYTES)
        if start >= 0:
            # ITU-T T.800, A.5.1: the image is what lies between its offset and the grid's end.
            right, bottom, left, top = struct.unpack_from(">4I", data, start + 8)
            return bottom - top, right - left
    except struct.error as error:
        raise ValueError("its header ends early") from error
    raise ValueError("no picture of the kind that the file names")


def _webp_size(data: bytes) -> tuple[int, int]:
    """Return the size of a WebP picture (RFC 9649, sections 2.5 to 2.7)."""
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (edge & 0x3FFF for edge in struct.unpack_from("<2H", data, 26))
    return height, width
