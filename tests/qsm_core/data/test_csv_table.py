"""CSV files as spreadsheets and people write them."""

from __future__ import annotations

import pytest

from qsm_core.data.csv_table import csv_header, read_csv_table
from qsm_core.data.importers.protocol import ImportOptions
from qsm_core.data.importers.registry import import_manifest
from qsm_core.errors import DataError


@pytest.mark.parametrize(
    "text",
    [
        "path,label,group_id\na b.wav,SPEECH,007\n",
        "path, label , group_id\r\na b.wav, SPEECH, 007\r\n,,\r\n",
        "path;label;group_id\ra b.wav;SPEECH;007\r",
        'path\tlabel\tgroup_id\n\n"a b.wav"\tSPEECH\t007\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_commas_semicolons_and_tabs_are_read(tmp_path, text, encoding):
    file = tmp_path / "metadata.csv"
    file.write_bytes(text.encode(encoding))
    assert csv_header(file) == ["path", "label", "group_id"]
    assert read_csv_table(file).to_dict("records") == [
        {"path": "a b.wav", "label": "SPEECH", "group_id": "007"}
    ]
    assert import_manifest(tmp_path).kind == "metadata_csv"


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"path,label\na.wav,SPEECH,anna\n", "line 2: 3 cells, but 2 columns"),
        (b"path,label\na.wav,SPEECH\nb.wav\n", "line 3: 1 cells, but 2 columns"),
        (b"path,label,path\na.wav,SPEECH,b.wav\n", "column 'path' appears twice"),
        ("path,label\nä.wav,SPEECH\n".encode("latin-1"), "is not UTF-8 .byte 0xe4.*CSV UTF-8"),
        (b"", "is empty"),
    ],
)
def test_what_cannot_be_read_without_guessing_is_reported(tmp_path, content, shown):
    file = tmp_path / "clips.csv"
    file.write_bytes(content)
    with pytest.raises(DataError, match=rf"clips\.csv.*{shown}"):
        read_csv_table(file)


def test_many_wrong_lines_are_counted(tmp_path):
    (tmp_path / "clips.csv").write_text("path,label\n" + "a.wav\n" * 25)
    with pytest.raises(DataError, match="and 15 more"):
        read_csv_table(tmp_path / "clips.csv")


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("PATH,LABEL,GROUP_ID", "no column path and no column label; its columns are PATH, LABEL"),
        ("path,group_id", "has no column label"),
        ("path,label", "missing column group_id .*add it, or give group_pattern"),
    ],
)
def test_a_table_that_is_almost_one_says_what_it_lacks(tmp_path, header, shown):
    (tmp_path / "metadata.csv").write_text(f"{header}\n")
    with pytest.raises(DataError, match=shown):
        import_manifest(tmp_path)


def test_a_pattern_stands_in_for_the_column_of_groups(tmp_path):
    (tmp_path / "metadata.csv").write_text("path,label\nspk1/a.wav,SPEECH\n")
    options = ImportOptions(group_pattern="(spk[0-9]+)")
    assert import_manifest(tmp_path, options=options).frame["group_id"].tolist() == ["spk1"]
