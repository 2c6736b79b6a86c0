"""Links, anchors and paths in the documents lead somewhere."""

import re

import documents
import pytest
import yaml
from conftest import ROOT

# Made by a run, the user's own, or of another project: not in a fresh clone.
ELSEWHERE = (
    "config/models.lock.yaml",
    "data/raw",
    "data/N.json",
    "docs/android.md",
    "docs/xcframework.md",
    "envs/mindgauge.sif",
)
TREES = ("workflow", "config", "docs", "tests", "profiles", "envs", "rules", "data", "report")


@pytest.mark.parametrize("path", documents.documents())
def test_links_and_anchors_resolve(path):
    wrong = []
    for line, target in documents.links(path):
        if re.match(r"https?:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (ROOT / path).parent / file if file else ROOT / path
        if not found.exists():
            wrong.append(f"{path}:{line}: {target}: there is no such file")
        elif anchor and anchor not in documents.anchors(str(found.resolve().relative_to(ROOT.resolve()))):
            wrong.append(f"{path}:{line}: {target}: there is no such heading")
    assert not wrong


@pytest.mark.parametrize("path", documents.documents())
def test_paths_named_exist(path):
    wrong = []
    for line, span in documents.spans(path):
        if "://" in span:
            continue
        for name in re.findall(rf"(?<![\w/.<-])(?:{'|'.join(TREES)})/[\w./-]+", span):
            if path == "docs/outputs.md" and name.startswith(("data/", "report/")):
                continue  # below results/
            rest = span[span.index(name) + len(name) :]
            if rest[:1] in ("<", "*", "{", "…") or name.startswith(ELSEWHERE):
                continue
            if not (ROOT / name.rstrip(".")).exists():
                wrong.append(f"{path}:{line}: {name}")
    assert not wrong


def test_every_document_can_be_found_from_the_readme():
    found, waiting = set(), ["README.md"]
    while waiting:
        path = waiting.pop()
        found.add(path)
        for _, target in documents.links(path):
            other = ((ROOT / path).parent / target.partition("#")[0]).resolve()
            name = other.relative_to(ROOT).as_posix() if other.is_relative_to(ROOT) else ""
            if name.endswith(".md") and name not in found:
                waiting.append(name)
    assert set(documents.documents()) <= found


def test_no_machine_path_and_no_registry_address():
    for path in documents.documents():
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not re.search(r"/(?:work|tmp|root|home)/|index.url|/simple\b", text), path


def test_the_workflow_catalog_finds_what_it_asks_for():
    """snakemake/snakemake-workflow-catalog, scripts/generate-catalog.py and its page on adding workflows."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8").lower()
    assert "snakemake" in readme and "workflow" in readme
    assert (ROOT / "workflow/Snakefile").is_file() and (ROOT / "config/README.md").is_file()
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    deployment = usage["software-stack-deployment"]
    assert set(deployment) == {"conda", "apptainer", "apptainer+conda", "report"} and usage["report"] is True
    # Snakemake plans with the Snakefile's environment and image, but neither was built: the catalog promises them when they were.
    snakefile = (ROOT / "Snakefile").read_text()
    assert "conda_env" in snakefile and "container:" in snakefile
    unbuilt = "neither has been built here" in (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    assert unbuilt != any(deployment[way] for way in ("conda", "apptainer", "apptainer+conda"))
    profile = usage["mandatory-flags"]["flags"].split()[1]
    assert (ROOT / profile / "config.yaml").is_file()
