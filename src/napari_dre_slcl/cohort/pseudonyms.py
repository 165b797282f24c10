"""Names that say nothing in the place of slides' and patients' names: keyed hashes of them.

HMAC-SHA256 (RFC 2104) under a key that stays with the user: the same name gives the same pseudonym
everywhere, and without the key nobody can try out names until one fits.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_dre_slcl.atomic_file import create_once
from napari_dre_slcl.errors import JobError
from napari_dre_slcl.user_folder import user_folder

__all__ = [
    "Pseudonyms",
    "is_pseudonym",
    "is_under_pseudonym",
    "load_pseudonyms",
    "numbered_patients",
    "private_folder",
]

_KEY_NAME = "key"
_KEY_BYTES = 32
_DIGITS = 16
_PSEUDONYM = re.compile(rf"(?:slide|patient)-[0-9a-f]{{{_DIGITS}}}")


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Makes pseudonyms under one key.

    Parameters
    ----------
    key : bytes
        32 random bytes; never shown.
    """

    key: bytes = field(repr=False)

    def slide(self, name: str) -> str:
        """Return the pseudonym of a slide_id; one that is a pseudonym already stays."""
        return name if is_pseudonym(name) else f"slide-{self.tag('slide', name)}"

    def patient(self, name: str) -> str:
        """Return the pseudonym of a patient_id, empty for an empty one."""
        return name if not name or is_pseudonym(name) else f"patient-{self.tag('patient', name)}"

    def tag(self, kind: str, text: str) -> str:
        """Return 16 hexadecimal digits for a text of a kind; kinds do not tell of each other."""
        message = f"{kind}\0{unicodedata.normalize('NFC', text)}".encode(errors="surrogateescape")
        return hmac.new(self.key, message, hashlib.sha256).hexdigest()[:_DIGITS]


def is_pseudonym(name: str) -> bool:
    """Whether a name has the form of a pseudonym."""
    return _PSEUDONYM.fullmatch(name) is not None


def numbered_patients(patients: Sequence[str]) -> list[str]:
    """Return a number in the place of each patient's id, for files that only need groups.

    Parameters
    ----------
    patients : sequence of str
        In the order of the cohort table, which alone decides the numbers.

    Returns
    -------
    list of str
        ``patient-0001`` and so on; pseudonyms and empty ones stay.
    """
    numbers: dict[str, int] = {}
    for patient in patients:
        numbers.setdefault(patient, len(numbers) + 1)
    return [
        name if not name or is_pseudonym(name) else f"patient-{numbers[name]:04}"
        for name in patients
    ]


def private_folder() -> Path:
    """Return the folder for the key and for what belongs to pseudonyms; only its user may read it.

    Raises
    ------
    JobError
        If it cannot be made.
    """
    folder = user_folder() / "pseudonyms"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.name == "posix":
            folder.chmod(stat.S_IRWXU)
    except OSError as error:
        raise JobError(
            f"The folder for pseudonyms '{folder}' cannot be made: {error.strerror}. Name another "
            "one with the variable DRE_SLCL_CONFIG_DIR."
        ) from error
    return folder


def is_under_pseudonym(path: str | Path) -> bool:
    """Whether a path is a link under a pseudonym, that must not be followed to be shown."""
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(user_folder() / "pseudonyms"))


def load_pseudonyms(key_file: Path | None = None) -> Pseudonyms:
    """Read the key; it is made where there is none.

    Parameters
    ----------
    key_file : Path, optional
        Where it is; by default in the user's own folder.

    Raises
    ------
    JobError
        If it cannot be read or made, others may read it, or it is no key.
    """
    path = private_folder() / _KEY_NAME if key_file is None else key_file
    try:
        if not path.exists():
            # Written by one process where several start at once; the others read it.
            create_once(path, secrets.token_hex(_KEY_BYTES).encode() + b"\n", is_private=True)
        facts = path.stat()
        text = path.read_bytes()[: 4 * _KEY_BYTES].strip()
    except OSError as error:
        raise JobError(
            f"The key of the pseudonyms '{path}' cannot be used: {error.strerror}. Correct the "
            "path, or leave --pseudonym-key out."
        ) from error
    if os.name == "posix" and facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise JobError(
            f"Others may read '{path}', the key of the pseudonyms, and could find out who is who. "
            f"Close it with 'chmod 600 {path}', or use another key."
        )
    if re.fullmatch(rb"[0-9a-fA-F]{%d}" % (2 * _KEY_BYTES), text) is None:
        raise JobError(
            f"'{path}' is no key of pseudonyms: 64 hexadecimal digits are expected. Bring the "
            "right file back, or name another."
        )
    return Pseudonyms(bytes.fromhex(text.decode()))
