"""Tables for people: cells that no spreadsheet program takes for a formula or a number, CSV and XLSX of the same bytes every
time."""

import csv
import datetime
import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any

FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]|[\t\r]")
# Control characters have no place in XML 1.0; a cell of Excel holds 32,767 characters.
UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
CELL = 32_000
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date that a zip file can hold


def guarded(cell: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would take it for a formula (CWE-1236; the signs are OWASP's,
    https://owasp.org/www-community/attacks/CSV_Injection, with their full-width forms), without what XML cannot hold."""
    text = UNWRITABLE.sub("", cell)[:CELL]
    return f"'{text}" if FORMULA.match(text) else text


def sheet_id(identifier: str) -> str:
    """An id as sheets carry it: `0012e45678901234` alone would be opened as a number."""
    return f"id-{identifier}"


def csv_text(heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as CSV, with a byte order mark for spreadsheets; text cells guarded."""
    text = io.StringIO()
    table = csv.writer(text)
    for row in ([*heading], *rows):
        table.writerow([guarded(cell) if isinstance(cell, str) else cell for cell in row])
    return "\ufeff" + text.getvalue()


def xlsx_bytes(
    heading: Sequence[str], rows: Iterable[Sequence[str]], allowed: dict[str, list[tuple[Any, str]]], wide: str
) -> bytes:
    """A table as a workbook: the heading frozen, the column `wide` wrapped, and for each column in `allowed` (value, meaning) a
    list to choose from. The values stand with their meanings on a second sheet, to which the lists refer: a list within a
    cell's own rule holds 255 characters at most."""
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    book = Workbook()
    sheet, values = book.active, book.create_sheet("values")
    assert sheet is not None
    sheet.title = "labels"
    sheet.append(list(heading))
    for row in rows:
        sheet.append([guarded(cell) for cell in row])
    for cells in sheet.iter_rows():
        for cell in cells:
            # Text stays text, whatever it looks like: openpyxl would make a formula of what begins with "=".
            cell.data_type = "s" if cell.value not in (None, "") else "n"
            cell.number_format = "@" if heading[cell.column - 1] not in allowed else "General"
            cell.alignment = Alignment(wrap_text=heading[cell.column - 1] == wide, vertical="top")
    sheet.freeze_panes = "A2"
    values.append(["label", "value", "meaning"])
    for number, name in enumerate(heading, 1):
        letter = get_column_letter(number)
        sheet.cell(1, number).font = Font(bold=True)
        sheet.column_dimensions[letter].width = 80 if name == wide else max(14, len(name) + 2)
        if name not in allowed:
            continue
        first = values.max_row + 1
        for value, meaning in allowed[name]:
            values.append([guarded(name), value, guarded(meaning)])
        rule = DataValidation(
            type="list",
            formula1=f"values!$B${first}:$B${values.max_row}",
            allow_blank=True,
            showErrorMessage=True,
            errorTitle=name,
            error="one of " + ", ".join(str(value) for value, _ in allowed[name])[:200],
        )
        sheet.add_data_validation(rule)
        rule.add(f"{letter}2:{letter}{max(2, sheet.max_row)}")
    held = io.BytesIO()
    book.save(held)
    return _timeless(held.getvalue())


def _timeless(data: bytes) -> bytes:
    """A workbook without the time it was written at, so that the same content is the same bytes."""
    out = io.BytesIO()
    stamp = datetime.datetime(*EPOCH).isoformat() + "Z"
    with zipfile.ZipFile(io.BytesIO(data)) as held, zipfile.ZipFile(out, "w") as made:
        for name in held.namelist():
            content = held.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:\w+[^>]*>)[^<]*", rb"\g<1>" + stamp.encode(), content)
            made.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
