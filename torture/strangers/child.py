"""A process that reads what it is told to, with little memory, and says how each ended.

One JSON line in, one out. ``python -m torture.strangers.child``.
"""

from __future__ import annotations

import importlib
import json
import random
import resource
import shutil
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from napari_dre_slcl.errors import DreSlclError
from torture.strangers.corpus import samples
from torture.strangers.honest import make_honest
from torture.strangers.kinds import KINDS
from torture.strangers.mutate import mutate

__all__ = ["MEMORY_BYTES"]

MEMORY_BYTES = 2**30
"""How much more memory than before reading a stranger's file may ask for."""

_NEVER = ("pickle.find_class", "os.system", "subprocess.Popen", "socket.connect", "os.exec")
# Starts anew where a file has ended it.
_PROBE = "napari_dre_slcl.trial.child"
_LIBRARIES = ("pyarrow.parquet", "openpyxl", "zarr", "h5py", "faiss", "pandas", "torch")


def main() -> None:
    """Read jobs until there are no more."""
    warnings.simplefilter("ignore")
    seen: list[str] = []
    is_reading = False

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if not is_reading:
            return
        if event in _NEVER and _PROBE not in str(arguments):
            seen.append(event)
        elif event == "open" and set(str(arguments[1])) & set("wax+") and arguments[1] is not None:
            seen.extend(f"wrote {place}" for place in [str(arguments[0])] if not _is_own(place))

    sys.addaudithook(hear)
    made = _made(Path(json.loads(sys.stdin.readline())))
    for name in _LIBRARIES:
        importlib.import_module(name)
    for kind, path in made["honest"].items():  # so that what is imported late does not count
        KINDS[kind](Path(path))
    print(json.dumps(made), flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        _make(job)
        _limit_memory()
        begun, is_reading = time.monotonic(), True
        outcome, said = _read(job["kind"], Path(job["path"]))
        is_reading = False
        seconds = time.monotonic() - begun
        if seen:
            outcome, said = "code", ", ".join(seen)
            seen.clear()
        print(json.dumps({"outcome": outcome, "said": said, "seconds": seconds}), flush=True)


def _made(folder: Path) -> dict[str, Any]:
    """Return the honest and the hostile files of a folder; make them the first time."""
    list_of = folder / "made.json"
    if not list_of.is_file():
        honest = make_honest(folder / "honest")
        hostile = [
            (one.name, one.family, one.kind, str(one.path))
            for one in samples(folder / "samples", honest)
        ]
        paths = {kind: str(path) for kind, path in honest.items()}
        list_of.write_text(json.dumps({"honest": paths, "hostile": hostile}))
    made: dict[str, Any] = json.loads(list_of.read_text())
    return made


def _make(job: dict[str, Any]) -> None:
    """Make a changed copy of an honest file where that is asked for."""
    if "seed" not in job:
        return
    source, target = Path(job["honest"]), Path(job["path"])
    shutil.rmtree(target.parent, ignore_errors=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        target.parent.mkdir(parents=True)
        shutil.copy(source, target)
    mutate(target, random.Random(job["seed"]))


def _read(kind: str, path: Path) -> tuple[str, str]:
    """Return how reading ended: read, refused, memory, or traceback; and what was said."""
    try:
        KINDS[kind](path)
    except DreSlclError as error:
        said = str(error)
        if _is_of_memory(error):
            return "memory", said
        is_sentence = len(said) < 5000 and said[-1:] in ".?!" and "Traceback" not in said
        return ("refused" if is_sentence else "no sentence"), said[:300]
    except MemoryError as error:
        return "memory", repr(error)
    except BaseException as error:  # noqa: BLE001  any that gets here is a defect, and is told
        return "traceback", f"{_place(error)} {type(error).__name__}: {str(error)[:200]}"
    return "read", ""


def _is_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _place(error: BaseException) -> str:
    """Return the last line of ours that an error went through."""
    place = ""
    step = error.__traceback__
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        if "napari_dre_slcl" in name or "torture" in name:
            place = f"{Path(name).name}:{step.tb_lineno}"
        step = step.tb_next
    return place


def _is_own(path: str) -> bool:
    return (
        path.isdecimal()
        or "strangers" in path
        or "torture" in path
        or path.startswith(("/dev/", "/tmp/"))
    )


def _limit_memory() -> None:
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = taken + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
