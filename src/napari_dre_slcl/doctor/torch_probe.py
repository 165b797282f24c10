"""Child of the doctor: imports torch and its helpers, multiplies on each GPU, prints JSON."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

__all__ = ["main"]

_GIB = 2**30


def main() -> None:
    """Print what torch is, what it can compute on, and whether torchvision fits it."""
    with warnings.catch_warnings(record=True) as notes:
        warnings.simplefilter("always")
        facts = _facts()
    texts = [str(note.message).splitlines()[0] for note in notes if "CUDA" in str(note.message)]
    facts["cuda_note"] = texts[0] if texts else ""
    sys.stdout.write(json.dumps(facts) + "\n")


def _facts() -> dict[str, Any]:
    import torch

    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "has_mps": torch.backends.mps.is_available(),
        "gpus": [_gpu(index) for index in range(torch.cuda.device_count())]
        if torch.cuda.is_available()
        else [],
        **_torchvision(),
    }


def _gpu(index: int) -> dict[str, Any]:
    import torch

    facts: dict[str, Any] = {"index": index, "name": "?", "memory_gib": 0.0, "free_gib": 0.0}
    try:
        facts["name"] = torch.cuda.get_device_name(index)
        free, whole = torch.cuda.mem_get_info(index)
        facts |= {"memory_gib": whole / _GIB, "free_gib": free / _GIB}
        ones = torch.ones(64, 64, device=f"cuda:{index}")
        total = float((ones @ ones).sum())
    except RuntimeError as error:
        return facts | {"error": str(error).splitlines()[0]}
    return facts | {"error": "" if total == 64**3 else f"64x64 ones gave {total}"}


def _torchvision() -> dict[str, Any]:
    from napari_dre_slcl.errors import ModelError
    from napari_dre_slcl.model.torchvision_repair import ensure_torchvision

    try:
        is_repaired = ensure_torchvision()
        import timm

        timm.create_model("test_vit", pretrained=False)
    except (ModelError, ImportError, RuntimeError) as error:
        return {"is_repaired": False, "torchvision_error": str(error).splitlines()[0]}
    return {"is_repaired": is_repaired, "torchvision_error": ""}


if __name__ == "__main__":
    main()
