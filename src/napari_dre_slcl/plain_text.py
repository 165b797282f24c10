"""Words of strangers where they are shown: as they stand, never as an order to what shows them.

Names of slides, columns and classes may hold signs that colour a terminal, go back over what it
has printed, turn the direction of the writing, or that a window takes for HTML.
"""

from __future__ import annotations

import json
import re
import unicodedata

__all__ = ["untagged", "visible", "visible_json"]

# Unicode's categories of signs that order instead of show: controls (Cc), formats, among them those
# that turn the writing or take no room (Cf), halves of signs (Cs), ends of lines (Zl, Zp).
_ORDERS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# What Qt takes for the begin of a tag, and for one that was escaped already (Qt::mightBeRichText).
_TAG = re.compile(r"<(?=[\s!/?]*[^\W\d_])")
_ESCAPED = re.compile(r"&(?=#|\w+;)")


def visible(text: str, keep: str = "") -> str:
    r"""Return text with the escape of each sign that would give orders, such as ``\x1b``.

    A name that is no valid UTF-8 on disk, which Python holds in halves of signs, can be printed
    afterwards. Twice changes nothing more.

    Parameters
    ----------
    text : str
        Perhaps with words of others.
    keep : str, default ""
        Signs that stay, such as the line ends that are our own.
    """
    if text.isprintable():
        return text
    return "".join(
        sign.encode("unicode_escape").decode("ascii")
        if _gives_orders(sign) and sign not in keep
        else sign
        for sign in text
    )


def visible_json(text: str) -> str:
    """Return the same JSON, in one line, with the escape of each sign that would give orders.

    JSON itself asks that only of the first 32 signs.
    """
    if text.isprintable():
        return text
    return "".join(json.dumps(sign)[1:-1] if _gives_orders(sign) else sign for sign in text)


def untagged(text: str) -> str:
    """Return text that no widget takes for HTML, for widgets that are not ours to set right.

    What looks like a tag begins with another sign of the same look, all else stays.
    """
    return _ESCAPED.sub("\uff06", _TAG.sub("\u2039", text))


def _gives_orders(sign: str) -> bool:
    return unicodedata.category(sign) in _ORDERS
