"""Manifests of all entries -> catalogue.json (results/manifest.json): every artifact with its sha256, and all that decided it."""

from mindgauge import cataloguing
from mindgauge.step import Step, run


def work(step: Step) -> None:
    """Hands the entries to the library."""
    cataloguing.catalogue(step.lists["entries"], step.lists["behind"], step.out, step.params["views"])


if __name__ == "__main__":
    run("catalogue", work, __doc__)
