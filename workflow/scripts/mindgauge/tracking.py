"""Experiment trackers: where the course of a training is also written, below results/tracking, as transformers' own integrations do.

Nothing leaves the machine: wandb is offline, mlflow writes files, trackio a local database.
"""

import importlib.util
import os
from pathlib import Path

from mindgauge.errors import UserError

TRACKING = Path("results/tracking")
# What to install for each; the first is what is imported. The whole mlflow would put the locked pyarrow back.
PACKAGES = {
    "tensorboard": ("tensorboard",),
    "wandb": ("wandb",),
    "mlflow": ("mlflow", "mlflow-skinny alembic sqlalchemy"),
    "trackio": ("trackio",),
}


def check(tracker: str, where: str) -> None:
    """Raises UserError if the tracker's package is not installed."""
    packages = PACKAGES.get(tracker)
    if packages and importlib.util.find_spec(packages[0]) is None:
        raise UserError(
            f"the tracker {tracker} is not installed",
            where=where,
            instead=f".venv/bin/pip install {packages[-1]}   (or tracker: none)",
        )


def start(tracker: str, run: str) -> list[str]:
    """Tells the tracker by its environment variables where to write; returns what transformers' `report_to` is to be."""
    if tracker == "none":
        return []
    place = (TRACKING / tracker).absolute()
    place.mkdir(parents=True, exist_ok=True)
    settings = {
        "tensorboard": {"TENSORBOARD_LOGGING_DIR": str(place / run)},
        "wandb": {
            "WANDB_MODE": "offline",
            "WANDB_DIR": str(place),
            "WANDB_PROJECT": "mindgauge",
            "WANDB_SILENT": "true",
        },
        "mlflow": {"MLFLOW_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}", "MLFLOW_EXPERIMENT_NAME": "mindgauge"},
        "trackio": {"TRACKIO_DIR": str(place)},
    }
    os.environ.update(settings[tracker])
    return [tracker]
