"""A crate for tests, of a few files."""

from mindgauge import crate


def made(root):
    """A crate below `root`, packed: its zip."""
    files = {"Snakefile": "rule all:", "LICENSE": "MIT", "config/config.yaml": "a: 1", "results/manifest.json": "{}"}
    for name, text in files.items():
        (root / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "in" / name).write_text(text)
    crate.write_crate(
        {name: root / "in" / name for name in files},
        ["results/manifest.json"],
        root / "crate",
        name="A run",
        description="What it is.",
        version="0.1.0",
        snakemake="9.27.1",
        config="config/config.yaml",
        sources={"s": {"licence": "MIT", "sha256": "5e"}},
        ended=1e9,
    )
    crate.write_zip(root / "crate", root / "crate.zip")
    return root / "crate.zip"
