"""Refuses every connection out of this machine, and writes down who tried; read by each process.

Python reads a module of this name at its start, so that children of children have it too.
"""

import os
import socket
import sys

_FREE = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "")
_LOOKED_UP = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyname_ex")
_SENT = ("socket.connect", "socket.sendto", "socket.sendmsg")


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in _LOOKED_UP:
        address: object = arguments[0]
    elif event in _SENT:
        if getattr(arguments[0], "family", None) == getattr(socket, "AF_UNIX", object()):
            return
        address = arguments[1]
        address = address[0] if isinstance(address, tuple) else address
    else:
        return
    text = address.decode() if isinstance(address, bytes) else address
    if text is None or text in _FREE or text == socket.gethostname():
        return
    place = os.environ.get("TORTURE_CALLS")
    if place:
        with open(place, "a", encoding="utf-8") as file:
            file.write(f"{event} {text} by {' '.join(sys.argv[:2])}\n")
    raise ConnectionRefusedError(111, "the torture suite refuses all connections")


sys.addaudithook(_refuse)
