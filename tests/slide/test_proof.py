"""A slide that is new is tried in a process of its own; what harms that process harms no other.

The harm comes from outside: a `sitecustomize` that only the trial processes load lets OpenSlide
crash or take memory over files that end in a certain word, as a hostile file does by itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

HARM = """
import sys
if sys.orig_argv[-2] == "napari_dre_slcl.trial.child":
    import os, signal, openslide
    opened = openslide.OpenSlide.__init__
    def harmful(self, path):
        with open(path, "rb") as stream:
            stream.seek(-5, 2)
            word = stream.read()
        if word == b"CRASH" or "CRASH" in os.environ:
            os.kill(os.getpid(), signal.SIGSEGV)
        if word == b"HUNGE":
            bytearray(2 ** 31)
        opened(self, path)
    openslide.OpenSlide.__init__ = harmful
"""
HOST = """
import json, os, sys
from pathlib import Path
from napari_dre_slcl import open_slide
from napari_dre_slcl.errors import SlideError

def children():
    told = Path(f"/proc/self/task/{os.getpid()}/children")
    return [int(one) for one in told.read_text().split()]

def said(path):
    try:
        open_slide(path).close()
    except SlideError as error:
        return str(error)
    return "opened"

def harm(path, word):
    with open(path, "ab") as stream:
        stream.write(word)
    return path

good, bad, large, later = sys.argv[1:]
came = {}
came["good"] = said(good)
came["first children"] = children()
came["again"] = said(good)
came["crash"] = said(harm(bad, b"CRASH"))
came["crash again"] = said(bad)
came["memory"] = said(harm(large, b"HUNGE"))
came["later, sound"] = said(later)
came["later, spoiled"] = said(harm(later, b"CRASH"))
os.environ["DRE_SLCL_PROBE"] = "off"
came["switched off"] = said(later)
del os.environ["DRE_SLCL_PROBE"]
pid = os.fork()
if not pid:
    ended = said(bad).startswith("Slide 'bad.tif' ends") and said(good) == "opened"
    os._exit(0 if ended else 1)
came["fork"] = os.waitpid(pid, 0)[1]
came["good after the fork"] = said(harm(good, b"more!"))
came["last children"] = children()
came["zombies"] = [one for one in children() if " Z " in Path(f"/proc/{one}/stat").read_text()]
print(json.dumps(came))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_slide):
    folder = tmp_path_factory.mktemp("proof")
    (folder / "sitecustomize.py").write_text(HARM)
    content = make_slide(folder / "good.tif").read_bytes()
    for name in ("bad.tif", "large.tif", "later.tif"):
        (folder / name).write_bytes(content)
    return folder


def environment(place: Path, **more: str) -> dict[str, str]:
    return (
        os.environ | {"PYTHONPATH": str(place), "DRE_SLCL_CONFIG_DIR": str(place / "user")} | more
    )


@pytest.fixture(scope="module")
def came(place):
    slides = [str(place / name) for name in ("good.tif", "bad.tif", "large.tif", "later.tif")]
    done = subprocess.run(
        [sys.executable, "-c", HOST, *slides],
        capture_output=True,
        text=True,
        check=False,
        env=environment(place),
        timeout=120,
    )
    assert not done.returncode, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_slide_that_ends_its_trial_is_refused_with_a_sentence(came):
    for which in ("crash", "crash again"):
        assert came[which] == (
            "Slide 'bad.tif' ends the program that opens it (SIGSEGV), and was opened in a trial "
            "only (limits: 10 s of processor time, 1 GiB of memory). It is damaged or made to do "
            "harm; copy the file again from its source."
        )


def test_slide_that_takes_much_memory_is_refused_with_a_sentence(came):
    assert came["memory"].startswith("Slide 'large.tif' asks for too much memory, and was opened")


def test_sound_slides_are_opened_before_and_after(came):
    assert came["good"] == came["again"] == came["good after the fork"] == "opened"


def test_slide_that_has_changed_is_tried_again(came):
    assert came["later, sound"] == "opened"
    assert came["later, spoiled"].startswith("Slide 'later.tif' ends the program")


def test_trials_can_be_switched_off(came):
    assert came["switched off"] == "opened"


def test_forked_process_has_a_trial_process_of_its_own(came):
    assert came["fork"] == 0


def test_one_process_stays_for_trials_and_no_zombie(came):
    assert len(came["first children"]) == len(came["last children"]) == 1
    assert came["zombies"] == []


def test_slide_proved_by_another_process_is_opened_without_a_trial(came, place):
    program = "import sys; from napari_dre_slcl import open_slide; open_slide(sys.argv[1])"
    crashing = environment(place, CRASH="all")
    run = [sys.executable, "-c", program]
    known = subprocess.run([*run, place / "good.tif"], env=crashing, check=False, timeout=60)
    other = subprocess.run(
        [*run, place / "later.tif"], env=crashing, check=False, timeout=60, capture_output=True
    )
    assert known.returncode == 0
    assert b"ends the program that opens it" in other.stderr


def test_book_of_proofs_names_no_slide(came, place):
    lines = (place / "user" / "proved-files.txt").read_text().splitlines()
    assert lines
    assert all(len(line) == 32 and int(line, 16) >= 0 for line in lines)


def test_trial_process_ends_with_a_killed_parent(place, make_slide):
    program = (
        "import os, sys; from pathlib import Path; from napari_dre_slcl import open_slide\n"
        "open_slide(sys.argv[1])\n"
        "print(Path(f'/proc/self/task/{os.getpid()}/children').read_text(), flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, make_slide(place / "other.tif")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(place),
    ) as parent:
        assert parent.stdout is not None
        (child,) = map(int, parent.stdout.readline().split())
        assert lives(child)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while lives(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not lives(child)


def lives(pid):
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
