"""Small round things of generated tissue: nuclei of several kinds, red cells and macrophages.

A sprite is drawn once per kind, angle and variant; a slide stamps some ten thousand of them.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from napari_dre_slcl.cohort.synthetic_noise import Field, Points, smooth_noise, smoothstep

__all__ = ["AMOUNT", "KINDS", "Kind", "MutationCue", "Plane", "stamp", "tumour_kind"]

Plane = npt.NDArray[np.uint8]

AMOUNT = 127.0  # a stain plane's value for an optical amount of 1
_ANGLES, _VARIANTS = 16, 14
_SPRITE_SEED = 77_003


@dataclass(frozen=True, slots=True)
class MutationCue:
    """How much of the mutation is to be seen in a mutated slide.

    Attributes
    ----------
    share : float
        Share of the tumour's glands or nests that show it, 0 to 1.
    strength : float
        How far their nuclei are from those of the wild type, 0 to 1.
    """

    share: float = 1.0
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What the sprites of one kind look like; lengths in level-0 pixels, stains as amounts.

    Attributes
    ----------
    radius_px, spread : float
        Mean radius, and the relative deviation of size and stain among the variants.
    aspect : float
        Length over width.
    irregularity : float
        Relative deviation of the outline from an ellipse.
    haematoxylin, eosin : float
        Amount of each stain inside.
    texture, rim : float
        Relative depth of the chromatin's clumps, and how much darker the membrane is.
    nucleolus_px : float
        Radius of a bright nucleolus, 0 for none.
    """

    radius_px: float
    spread: float = 0.08
    aspect: float = 1.1
    irregularity: float = 0.03
    haematoxylin: float = 0.8
    eosin: float = 0.25
    texture: float = 0.12
    rim: float = 0.15
    nucleolus_px: float = 0.0


KINDS: dict[str, Kind] = {
    "LUAD-0": Kind(7.9, 0.08, 1.3, 0.04, 0.64, 0.26, 0.14, 0.30),
    "LUAD-1": Kind(11.0, 0.17, 1.3, 0.07, 0.80, 0.27, 0.22, 0.34, 3.0),
    "LUSC-0": Kind(8.8, 0.08, 1.28, 0.04, 0.64, 0.26, 0.14, 0.30),
    "LUSC-1": Kind(12.2, 0.17, 1.3, 0.07, 0.80, 0.27, 0.22, 0.34, 3.2),
    "lymphocyte": Kind(5.8, 0.08, 1.05, 0.03, 1.0, 0.2, 0.2, 0.1),
    "spindle": Kind(7.0, 0.15, 3.6, 0.06, 0.72, 0.3, 0.12, 0.12),
    "pneumocyte": Kind(6.2, 0.15, 1.9, 0.05, 0.78, 0.28, 0.15, 0.15),
    "pyknotic": Kind(4.4, 0.2, 1.6, 0.08, 1.05, 0.45, 0.1, 0.0),
    "macrophage": Kind(6.0, 0.12, 1.2, 0.05, 0.68, 0.3, 0.15, 0.2),
    "foam": Kind(13.0, 0.15, 1.15, 0.04, 0.10, 0.32, 0.22, 0.05),
    "red cell": Kind(6.2, 0.07, 1.1, 0.03, 0.0, 0.92, 0.06, 0.12),
}


def tumour_kind(subtype: str, mutated: bool) -> str:
    """Return the name of the tumour nuclei of a slide."""
    return f"{subtype}-{int(mutated)}"


def stamp(
    haematoxylin: Plane,
    eosin: Plane,
    kind: str,
    points: Points,
    turns: Points,
    seed: int,
    strength: float = 1.0,
) -> None:
    """Stamp sprites of one kind on both stain planes, in place.

    Parameters
    ----------
    haematoxylin, eosin : (h, w) uint8
        Stain planes at level 0.
    kind : str
        A key of `KINDS`.
    points : (n, 2) float
        Centres (y, x) in level-0 pixels; those too near the border are left out.
    turns : (n,) float
        Direction of the long axis in radians, from x towards y.
    seed : int
        Chooses the variants.
    strength : float, default 1.0
        Of a mutated kind: how far it is from its wild type.
    """
    sprites_h, sprites_e = _sprites(kind, strength)
    size = sprites_h.shape[-1]
    corners = np.round(points).astype(int) - size // 2
    angle = np.round(turns / np.pi * _ANGLES).astype(int) % _ANGLES
    variant = np.random.default_rng(seed).integers(_VARIANTS, size=len(points))
    inside = ((corners >= 0) & (corners + size <= haematoxylin.shape)).all(axis=1)
    is_nucleus = KINDS[kind].haematoxylin > 0.3
    rows = np.column_stack([corners, angle, variant])[inside].tolist()
    for y, x, a, v in rows:
        target = haematoxylin[y : y + size, x : x + size]
        np.maximum(target, sprites_h[a, v], out=target)
        target = eosin[y : y + size, x : x + size]
        # Nuclei push eosin out; red cells and foam cells bring their own.
        (np.minimum if is_nucleus else np.maximum)(target, sprites_e[a, v], out=target)


@cache
def _sprites(kind: str, strength: float) -> tuple[Plane, Plane]:
    spec = KINDS[kind] if strength == 1 else _blended(kind, strength)
    rng = np.random.default_rng([_SPRITE_SEED, list(KINDS).index(kind)])
    longest = spec.radius_px * np.sqrt(spec.aspect) * (1 + 2.2 * spec.spread) * 1.12
    size = 2 * int(np.ceil(longest + 1.5)) + 1
    planes = np.empty((2, _ANGLES, _VARIANTS, size, size), np.uint8)
    for variant in range(_VARIANTS):
        # Every angle has the same spread of sizes, so that no direction looks different.
        z = np.clip(rng.standard_normal(2), -2, 2)
        for angle in range(_ANGLES):
            turn = np.pi * (angle + rng.uniform(-0.4, 0.4)) / _ANGLES
            h, e = _sprite(rng, spec, size, turn, z)
            planes[:, angle, variant] = np.clip(np.stack([h, e]) * AMOUNT, 0, 255)
    return planes[0], planes[1]


def _blended(mutated: str, strength: float) -> Kind:
    wild = KINDS[mutated.replace("-1", "-0")]
    pairs = zip(astuple(wild), astuple(KINDS[mutated]), strict=True)
    return Kind(*(float(w + strength * (m - w)) for w, m in pairs))


def _sprite(
    rng: np.random.Generator, spec: Kind, size: int, turn: float, z: Points
) -> tuple[Field, Field]:
    y, x = (np.mgrid[:size, :size] - size // 2).astype(np.float32)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    aspect = 1 + (spec.aspect - 1) * rng.uniform(0.5, 1.5)
    radius = spec.radius_px * (1 + spec.spread * z[0])
    angle = np.arctan2(across, along)
    outline = np.ones_like(angle)
    for wave in (2, 3, 4, 5):
        outline += (
            spec.irregularity * 2 / wave * rng.normal() * np.cos(wave * angle + rng.uniform(0, 6.3))
        )
    scaled = np.hypot(along / np.sqrt(aspect), across * np.sqrt(aspect))
    inner = radius * outline - scaled  # distance to the membrane, roughly
    alpha = smoothstep(inner, -0.9, 0.9)
    chromatin = 1 + spec.texture * smooth_noise(rng, size, 6)
    chromatin += spec.rim * (np.exp(-((inner - 1.3) ** 2) / 2.2) - 0.35)
    h = spec.haematoxylin * (1 + 0.8 * spec.spread * z[1]) * chromatin
    e = np.full_like(h, spec.eosin) * (chromatin if spec.haematoxylin < 0.3 else 1.0)
    if spec.nucleolus_px:
        off = rng.uniform(-0.3, 0.3, 2) * radius
        spot = smoothstep(spec.nucleolus_px - np.hypot(y - off[0], x - off[1]), -0.8, 0.8)
        h, e = h * (1 - 0.8 * spot), e + 0.12 * spot
    if spec.haematoxylin < 0.3:
        return alpha * h, alpha * e
    return alpha * h, e + (1 - alpha) * 2.0
