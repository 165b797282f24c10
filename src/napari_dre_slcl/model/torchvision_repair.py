"""Makes torchvision importable beside a torch it was not built for; timm needs the import only.

torchvision's registry wheel is built against CUDA. Beside a CPU build of torch its compiled library
does not load, and ``import torchvision`` stops at ``operator torchvision::nms does not exist``.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from napari_dre_slcl.errors import ModelError

__all__ = ["ensure_torchvision"]

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_OPERATORS = ("nms", "qnms")
_SYMPTOM = "operator torchvision::"

# torch forgets the operators of a library as soon as the library object is collected.
_kept_libraries: list[Any] = []


def ensure_torchvision() -> bool:
    """Import torchvision, declaring its missing operators only where the import fails for them.

    Call it before timm is first imported. The declared operators have no implementation, so
    calling one still raises; timm and ``torchvision.transforms`` never do.

    Returns
    -------
    bool
        True where a repair was needed and made, False where torchvision already imports.

    Raises
    ------
    ModelError
        If torchvision is missing, or cannot be imported for another reason.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if _SYMPTOM not in str(error):
            raise _unusable(error) from error
    except ImportError as error:
        raise _unusable(error) from error
    else:
        return False
    _forget_torchvision()
    _declare_operators()
    try:
        importlib.import_module("torchvision")
    except (RuntimeError, ImportError) as error:
        raise _unusable(error) from error
    return True


def _forget_torchvision() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]


def _declare_operators() -> None:
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in _OPERATORS:
        library.define(operator + _SIGNATURE)
    _kept_libraries.append(library)


def _unusable(error: Exception) -> ModelError:
    return ModelError(
        f"torchvision cannot be imported ({error}), and the tile encoders need it. Install the "
        "torchvision that belongs to your torch, both from the same index."
    )
