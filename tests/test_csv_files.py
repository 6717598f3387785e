"""Tables that users write as text are read as their spreadsheets wrote them."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructme.manifests import csv_files
from instructme.manifests.rows import DataError

cells = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\"',;\t|"), max_size=6)


@given(table=st.lists(st.lists(cells, min_size=3, max_size=3), max_size=5), mark=st.sampled_from(",;\t|"))
def test_what_a_spreadsheet_writes_is_read(table: list[list[str]], mark: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "t.csv"
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=mark).writerows([["Label", "Path", "Note"], *table])
    path.write_bytes(written.getvalue().encode())
    columns, rows = csv_files.read(path)
    assert columns == ["label", "path", "note"]
    trimmed = [[cell.strip() for cell in row] for row in table]
    assert [[*row.values()] for _, row in rows] == [row for row in trimmed if any(row)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("first", ["", "sep=;\n", "\r\n\n"])
def test_encodings_and_first_lines_of_spreadsheets(encoding: str, first: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(f"{first}a;b\nCanção, 2;x\n".encode(encoding))
    columns, rows = csv_files.read(path)
    assert (columns, [row for _, row in rows]) == (["a", "b"], [{"a": "Canção, 2", "b": "x"}])


def test_lines_are_counted_and_short_rows_filled(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n,\n \n1\n2,3,\n")
    _, rows = csv_files.read(tmp_path / "t.csv")
    assert list(rows) == [(4, {"a": "1", "b": ""}), (5, {"a": "2", "b": "3"})]


def test_cells_that_would_be_lost_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(DataError, match="line 3 has more cells than the header"):
        list(csv_files.read(path)[1])
    path.write_text("Path,x,path \n1,2,3\n")
    with pytest.raises(DataError, match="two columns path"):
        csv_files.read(path)
    path.write_text("a,,\n1,,\n")
    assert [row["a"] for _, row in csv_files.read(path)[1]] == ["1"]


def test_other_encodings_are_read_only_if_the_caller_names_one(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("a\nCanção\n".encode("latin-1"))
    assert [row["a"] for _, row in csv_files.read(tmp_path / "t.csv", legacy="latin-1")[1]] == ["Canção"]
    with pytest.raises(UnicodeDecodeError):
        csv_files.read(tmp_path / "t.csv")
