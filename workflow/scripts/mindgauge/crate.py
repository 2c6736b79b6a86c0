"""The crate: a run as a Workflow Run RO-Crate in one zip, with everything but text and weights.

The same run gives the same bytes: entities and members stand in a fixed order, and the only dates are those of the entries.
"""

import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from mindgauge.files import atomic_path, files_below, sha256_file

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
# Not in the context of RO-Crate 1.1.
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
PARAMETER = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
WORKFLOW = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
MEDIA = {
    ".json": "application/json",
    ".html": "text/html",
    ".txt": "text/plain",
    ".md": "text/markdown",
    ".csv": "text/csv",
    ".jsonl": "application/jsonlines",
    ".png": "image/png",
    ".yaml": "application/yaml",
    ".py": "text/x-python",
}
# The earliest a zip can say: members have no dates of their own.
NO_DATE = (1980, 1, 1, 0, 0, 0)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()


def write_crate(
    files: Mapping[str, Path],
    made: list[str],
    out: Path,
    *,
    name: str,
    description: str,
    version: str,
    snakemake: str,
    config: str,
    sources: Mapping[str, Mapping[str, str]],
    ended: float,
) -> None:
    """Writes the crate into the directory `out`. `files`: what it packs, by the name within; among them Snakefile, LICENSE and
    `config`, the configuration in use; `made` names those that the run made. `sources`: of each corpus `licence` and `sha256`."""
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version="1.1")
    crate.metadata.extra_terms.update(TERMS)
    crate.name, crate.description = name, description
    crate.datePublished = datetime.fromtimestamp(int(ended), UTC)
    properties = {
        packed: {
            "name": packed,
            "contentSize": str(path.stat().st_size),
            "sha256": sha256_file(path),
            **({"encodingFormat": MEDIA[path.suffix]} if path.suffix in MEDIA else {}),
        }
        for packed, path in files.items()
    }
    workflow = crate.add_workflow(
        files["Snakefile"],
        "Snakefile",
        main=True,
        lang="snakemake",
        lang_version=snakemake,
        properties={
            **properties["Snakefile"],
            "name": "MindGauge",
            "version": version,
            "conformsTo": {"@id": WORKFLOW},
        },
    )
    entities = {
        packed: crate.add_file(path, packed, properties=properties[packed])
        for packed, path in sorted(files.items())
        if packed != "Snakefile"
    }
    crate.license = workflow["license"] = entities["LICENSE"]
    profiles = [
        crate.add(ContextEntity(crate, address, {"@type": "CreativeWork", "name": title, "version": of}))
        for address, (title, of) in PROFILES.items()
    ]
    crate.root_dataset["conformsTo"] = profiles
    taken = [entities[config]]
    parameters = [("config", "File", entities[config])]
    for source, of in sources.items():
        value = {
            "@type": "PropertyValue",
            "name": source,
            "value": f"sha256:{of['sha256']}",
            "description": f"The raw corpus, known by its content and not part of the crate. Licence: {of['licence']}",
        }
        taken.append(crate.add(ContextEntity(crate, f"#source-{source}", value)))
        parameters.append((f"source {source}", "Text", taken[-1]))
    for title, kind, example in parameters:
        parameter = crate.add_formal_parameter(
            title,
            kind,
            identifier=f"#parameter-{title.replace(' ', '-')}",
            valueRequired=True,
            properties={"workExample": example},
        )
        example["exampleOfWork"] = parameter
        workflow.append_to("input", parameter)
    crate.root_dataset["mentions"] = crate.add_action(
        workflow,
        identifier="#run",
        object=taken,
        result=[entities[packed] for packed in sorted(made)],
        properties={"name": f"Run of {name}", "endTime": _moment(ended)},
    )
    crate.write(out)


def write_zip(directory: Path, out: Path) -> None:
    """Packs a directory: the same files are the same bytes."""
    with atomic_path(out) as aside, zipfile.ZipFile(aside, "w") as packed:
        for path in files_below(directory):
            member = zipfile.ZipInfo(path.relative_to(directory).as_posix(), NO_DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            packed.writestr(member, path.read_bytes())
