"""Files named by URL (s3://, gs://, https://, ...), through fsspec, and their local copies."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import platformdirs

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.slide.local_cache import Lease, LocalCache
from napari_dre_slcl.slide.urls import is_remote, located, remote_name, shown, url_of

__all__ = [
    "Fetched", "RemoteFile", "fetch", "file_system", "is_remote", "local_cache", "located",
    "look_up", "remote_errors", "remote_folder", "remote_name", "remote_stream", "shown",
]  # fmt: skip

_DEFAULT_GIB = 20.0
_BLOCK_BYTES = 2**18
_TRUSTED_S = 300.0
"""How long what a server said of a file is believed."""
_MARKS = (
    "ETag", "etag", "md5Hash", "md5", "crc32c", "content_md5", "VersionId", "generation",
    "LastModified", "last_modified", "updated", "mtime", "modified", "created",
)  # fmt: skip
"""What different stores say of a file that changes with its content."""
_FOLDERS_OF_INDEX = (".mrxs",)
_NEEDS_ITS_FOLDER = (".vms", ".vmu")


_signed: dict[str, str] = {}
"""What was opened by a signed URL is found again by the name without signature that is stored."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as its server tells of it.

    Parameters
    ----------
    url : str
        Where it is.
    n_bytes : int
        Its size, with the files that belong to it.
    stamp : str
        Another text once the file is another.
    parts : tuple of (str, str)
        Place on the server, and path in the local copy, of each file; the named one first.
    """

    url: str
    n_bytes: int
    stamp: str
    parts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A local copy; it stays until it is closed.

    Parameters
    ----------
    path : Path
        The file, or the folder of a DICOM slide.
    lease : Lease
        What keeps it.
    """

    path: Path
    lease: Lease

    def __enter__(self) -> Fetched:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the copy be removed where its room is needed."""
        self.lease.close()


def local_cache() -> LocalCache:
    """Return the folder of copies: DRE_SLCL_CACHE_DIR, of DRE_SLCL_CACHE_GIB (default 20).

    Raises
    ------
    SlideError
        If the size is no number above 0.
    """
    folder = os.environ.get("DRE_SLCL_CACHE_DIR") or os.path.join(
        platformdirs.user_cache_dir("napari-dre-slcl", appauthor=False), "remote-files"
    )
    text = os.environ.get("DRE_SLCL_CACHE_GIB") or str(_DEFAULT_GIB)
    try:
        gib = float(text)
    except ValueError:
        gib = 0.0
    if not 0 < gib < 2**30:
        raise SlideError(
            f"DRE_SLCL_CACHE_GIB is '{text}'; give the size of the cache in GiB, such as 20."
        )
    return LocalCache(Path(folder).expanduser(), int(gib * 2**30))


def fetch(path: str | Path) -> Fetched:
    """Return a local copy of a remote file, made first where there is none.

    Parameters
    ----------
    path : str or Path
        A URL. A ``.mrxs`` slide comes with its folder; a folder is taken for a DICOM slide.

    Raises
    ------
    SlideError
        If there is no such file, it cannot be had, or there is no room for it.
    """
    remote = look_up(path)
    key = hashlib.sha256(f"{remote.url}\n{remote.stamp}".encode()).hexdigest()[:40]
    lease = local_cache().lease(key, remote.n_bytes, lambda folder: _download(remote, folder))
    name = Path(remote.parts[0][1]).parts[0]
    return Fetched(lease.folder / name, lease)


def look_up(path: str | Path) -> RemoteFile:
    """Ask the server for a file's size and state; an answer is believed for five minutes.

    Raises
    ------
    SlideError
        As `fetch`.
    """
    url = url_of(path)
    if shown(url) != url:
        _signed[shown(url)] = url
    time_slot = int(time.monotonic() / _TRUSTED_S)
    try:
        return _looked_up(url, time_slot)
    except SlideError:
        if url not in _signed:
            raise
        return _looked_up(_signed[url], time_slot)


@contextmanager
def remote_stream(path: str | Path) -> Iterator[Any]:
    """Open a remote file of which little is read: blocks of it come as they are asked for.

    Raises
    ------
    SlideError
        As `fetch`.
    """
    with remote_errors(path):
        files, place = file_system(path)
        stream = files.open(place, "rb", block_size=_BLOCK_BYTES)
    with stream:
        yield stream


def remote_folder(path: str | Path) -> Mapping[str, int | None]:
    """Return the names in a remote folder, each with its size where the server says it.

    The answer is believed for five minutes.

    Raises
    ------
    SlideError
        As `fetch`.
    """
    return _listed(url_of(path), int(time.monotonic() / _TRUSTED_S))


@contextmanager
def remote_errors(path: str | Path) -> Iterator[None]:
    """Say in a sentence what goes wrong on the way to a server."""
    where = shown(path)
    try:
        yield
    except FileNotFoundError as error:
        status = getattr(error.__cause__, "status", None)  # fsspec says so of any answer
        if status not in (None, 404, 410):
            raise SlideError(
                f"'{where}' cannot be read: its server answers with status {status}; check the "
                "address and the credentials of this machine, or try again later."
            ) from error
        raise SlideError(
            f"'{where}' does not exist, or its server does not answer; check the address."
        ) from error
    except PermissionError as error:
        raise SlideError(
            f"'{where}' may not be read; check the access rights and the credentials of this "
            "machine."
        ) from error
    except ImportError as error:
        raise SlideError(f"'{where}' cannot be read: {str(error).rstrip('.')}.") from error
    except _expected() as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SlideError(
            f"'{where}' cannot be read ({reason.rstrip('.')}); check the address, the network and "
            "the credentials of this machine."
        ) from error


@lru_cache(maxsize=16)
def _listed(url: str, time_slot: int) -> Mapping[str, int | None]:
    with remote_errors(url):
        files, place = file_system(url)
        found = files.ls(place, detail=True, refresh=True)
    return {remote_name(facts["name"]): facts.get("size") for facts in found}


@lru_cache(maxsize=100_000)
def _looked_up(url: str, time_slot: int) -> RemoteFile:
    name = remote_name(url)
    suffix = Path(name).suffix.lower()
    if suffix in _NEEDS_ITS_FOLDER:
        raise SlideError(
            f"'{shown(url)}' is an index of other files; copy the slide's folder to this machine."
        )
    with remote_errors(url):
        files, place = file_system(url)
        facts = files.info(place)
        found = [(place, name, facts)]
        if facts["type"] == "directory":
            found = _inside(files, place, name)
        elif suffix in _FOLDERS_OF_INDEX:
            folder = place.removesuffix(Path(name).suffix)
            found += _inside(files, folder, Path(name).stem)
    sizes = [facts.get("size") for _, _, facts in found]
    if not found or any(size is None for size in sizes):
        raise SlideError(
            f"'{shown(url)}' is an empty folder, or its server does not say how large it is; copy "
            "it to this machine."
        )
    stamp = "\n".join(_stamp(local, facts) for _, local, facts in found)
    parts = tuple((remote, local) for remote, local, _ in found)
    return RemoteFile(url, sum(map(int, sizes)), stamp, parts)


def file_system(path: str | Path) -> tuple[Any, str]:
    """Return fsspec's file system of a URL and the place in it; see `remote_errors`."""
    try:
        import fsspec
    except ImportError as error:
        raise SlideError(
            f"'{shown(path)}' lies on another machine, and reading it needs fsspec. Run: pip "
            "install 'napari-dre-slcl[remote]', or copy the file to this machine."
        ) from error
    url = url_of(path)
    options: dict[str, Any] = {}
    if url.startswith(("http:", "https:")):
        import aiohttp

        # Its default ends a download after five minutes, however well it goes.
        options["client_kwargs"] = {
            "timeout": aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
        }
    files, place = fsspec.core.url_to_fs(url, **options)
    return files, place


def _inside(files: Any, folder: str, name: str) -> list[tuple[str, str, dict[str, Any]]]:
    found = files.find(folder, detail=True)
    start = folder.rstrip("/") + "/"
    return [
        (place, f"{name}/{place.partition(start)[2] or Path(place).name}", facts)
        for place, facts in sorted(found.items())
    ]


def _stamp(local: str, facts: dict[str, Any]) -> str:
    return f"{local} {facts.get('size')} " + " ".join(
        f"{name}={facts[name]}" for name in _MARKS if facts.get(name) is not None
    )


def _download(remote: RemoteFile, folder: Path) -> None:
    with remote_errors(remote.url):
        files, _ = file_system(remote.url)
        for place, local in remote.parts:
            target = folder / local
            if not target.resolve().is_relative_to(folder.resolve()):
                raise ValueError(f"its server names a file '{local}' outside its folder")
            target.parent.mkdir(parents=True, exist_ok=True)
            files.get_file(place, str(target))
    n_bytes = sum((folder / local).stat().st_size for _, local in remote.parts)
    if n_bytes != remote.n_bytes:
        _looked_up.cache_clear()
        raise SlideError(
            f"'{shown(remote.url)}' came with {n_bytes:,} of {remote.n_bytes:,} bytes; it was "
            "written meanwhile, or the connection broke. Try again."
        )


def _expected() -> tuple[type[BaseException], ...]:
    """Return what reading fails with; the errors of some network packages are no OSErrors."""
    named = (
        ("aiohttp", "ClientError"),
        ("botocore.exceptions", "BotoCoreError"),
        ("botocore.exceptions", "ClientError"),
        ("google.auth.exceptions", "GoogleAuthError"),
        ("azure.core.exceptions", "AzureError"),
    )
    found = (getattr(sys.modules.get(module), name, None) for module, name in named)
    loaded = [error for error in found if error is not None]
    return (OSError, ValueError, RuntimeError, *loaded)
