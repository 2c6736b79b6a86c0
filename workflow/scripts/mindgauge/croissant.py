"""Croissant: what files of supervised rows hold, for machines. It describes rows and their files, and holds none."""

from typing import Any

# What a column of a supervised row holds; `themes` is a list.
COLUMNS = {
    "id": "the record's id: hex digits of the sha256 of its words",
    "source": "the corpus it comes from",
    "group": "its split group: records that are alike stand in one split",
    "themes": "what it is about, the most frequent first",
    "instruction": "the prompt",
    "input": "what the model reads",
    "output": "the labels, as canonical JSON",
}


def described(
    name: str, description: str, files: dict[str, dict[str, Any]], columns: tuple[str, ...], licences: list[str]
) -> dict[str, Any]:
    """Metadata in Croissant 1.0 of JSONL files (name -> sha256 and size). Made, and thereby validated, by mlcroissant."""
    import mlcroissant as mlc

    def field(split: str, file: str, column: str) -> Any:
        return mlc.Field(
            id=f"{split}/{column}",
            name=column,
            description=COLUMNS[column],
            data_types=[mlc.DataType.TEXT],
            source=mlc.Source(file_object=file, extract=mlc.Extract(column=column)),
            **({"repeated": True} if column == "themes" else {}),
        )

    found: dict[str, Any] = mlc.Metadata(
        name=name,
        description=description,
        in_language=["zh"],
        license=licences,
        distribution=[
            mlc.FileObject(
                id=file,
                name=file,
                content_url=file,
                content_size=f"{of['size']} B",
                encoding_formats=["application/jsonlines"],
                sha256=of["sha256"],
            )
            for file, of in files.items()
        ],
        record_sets=[
            mlc.RecordSet(id=split, name=split, fields=[field(split, f"{split}.jsonl", column) for column in columns])
            for split in (file.removesuffix(".jsonl") for file in files)
        ],
    ).to_json()
    return found
