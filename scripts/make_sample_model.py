"""Make the small model that File > Open Sample shows, and its result.

Trains on generated slides for a few minutes, stores the weights as half precision, predicts the
sample slide (which is of another seed, so the model has not seen it) and writes all of it into the
package. The same versions on the same processor give the same files but for the times in them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # sums in the same order on every machine

import torch
from safetensors.torch import load, save

from napari_dre_slcl.atomic_file import write_json
from napari_dre_slcl.cohort.synthetic import generate_cohort
from napari_dre_slcl.gui.sample_data import SAMPLE_MODEL, sample_slide_path
from napari_dre_slcl.jobs.messages import Event, Log, PredictJob, Progress, Result, TrainJob
from napari_dre_slcl.jobs.worker import run_job
from napari_dre_slcl.results import load_result, save_result

COHORT_SEED = 1
N_SLIDES, SIDE_PX = 48, 2048
SETTINGS = {
    "encoder.name": "test_efficientnet",
    # Narrow, so that the model stays below 1 MiB.
    "residual.ffn_ratio": 0.25,
    "residual.attention_width": 32,
    "residual.global_map": False,
    "training.epochs": 24,
    "training.seed": 0,
}
MOST_BYTES = 2**20


def main() -> int:
    """Make model and result; 1 where they are too large to be shipped."""
    with tempfile.TemporaryDirectory() as folder:
        model, result = _make(Path(folder))
        shutil.rmtree(SAMPLE_MODEL, ignore_errors=True)
        SAMPLE_MODEL.mkdir(parents=True)
        shutil.copytree(model, SAMPLE_MODEL / "model")
        shutil.copy(result, SAMPLE_MODEL / result.name)
    model_files = (SAMPLE_MODEL / "model").rglob("*")
    size = sum(path.stat().st_size for path in model_files if path.is_file())
    sys.stdout.write(f"{SAMPLE_MODEL / 'model'}: {size:,} bytes\n")
    return int(size > MOST_BYTES)


def _make(folder: Path) -> tuple[Path, Path]:
    table = generate_cohort(folder / "cohort", N_SLIDES, COHORT_SEED, SIDE_PX)
    job = TrainJob(
        cohort=table, run_dir=folder / "run", preset="cpu-small", overrides=dict(SETTINGS)
    )
    trained = _run(job)
    sys.stdout.write(f"{trained.metrics}\n")
    model = trained.paths["model"]
    _halve(model)
    slide = sample_slide_path(folder / "slide")
    predicted = _run(PredictJob(model=model, slides=(slide,), out=folder / "results"))
    result = load_result(next(iter(predicted.paths.values())))
    facts = result.provenance | {"model": ""}  # filled in where the sample is opened
    neutral = replace(result, slide_id="generated-lung-slide", slide_path="", provenance=facts)
    return model, save_result(neutral, folder / "sample.dreslcl.npz")


def _halve(model: Path) -> None:
    """Store floating-point weights as half precision, which halves the file."""
    path = model / "model.safetensors"
    weights = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in load(path.read_bytes()).items()
    }
    content = save(weights)
    path.write_bytes(content)
    header = json.loads((model / "model.json").read_text(encoding="utf-8"))
    header["weights_sha256"] = hashlib.sha256(content).hexdigest()
    write_json(model / "model.json", header)


def _run(job: TrainJob | PredictJob) -> Result:
    end = run_job(job, _tell)
    if not isinstance(end, Result):
        raise SystemExit(f"{end}")
    return end


def _tell(event: Event) -> None:
    if isinstance(event, Progress | Log):
        sys.stdout.write(f"{event.message or event}\n")


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True, warn_only=True)
    raise SystemExit(main())
