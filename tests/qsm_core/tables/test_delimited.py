"""Tables as spreadsheets, statistics programs and people write them."""

from __future__ import annotations

import gzip

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsm_core.errors import DataError
from qsm_core.tables.delimited import header_of, read_table


@pytest.fixture
def read(tmp_path):
    def do(content, **options):
        data = content.encode() if isinstance(content, str) else content
        file = tmp_path / "clips.csv"
        file.write_bytes(data)
        table = read_table(file, **options)
        assert header_of(file) == list(table.frame.columns)
        return table

    return do


@pytest.mark.parametrize(
    "text",
    [
        "path,label,group_id\na b.wav,SPEECH,007\n",
        "path, label , group_id\r\na b.wav, SPEECH, 007\r\n,,\r\n",
        "path;label;group_id\ra b.wav;SPEECH;007\r",
        'path\tlabel\tgroup_id\n\n"a b.wav"\tSPEECH\t007\n',
        "sep=|\npath|label|group_id\na b.wav|SPEECH|007",
        ",path,label,group_id\n17,a b.wav,SPEECH,007\n",
        '"path" "label" "group_id"\n"1" "a b.wav" "SPEECH" "007"\n',
        "path,label,group_id,\na b.wav,SPEECH,007\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_forms_that_say_the_same(read, text, encoding):
    table = read(text.encode(encoding))
    assert table.frame.to_dict("records") == [
        {"path": "a b.wav", "label": "SPEECH", "group_id": "007"}
    ]


def test_gzipped_by_content_not_by_name(read):
    assert read(gzip.compress(b"path,label\na.wav,SPEECH\n")).lines == (2,)


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (b"path,label\na.wav,SPEECH,anna\n", "line 2: 3 cells, but 2 columns"),
        (b"path,label\na.wav,SPEECH\nb.wav\n", "line 3: 1 cells, but 2 columns"),
        (b"path,label,path\na.wav,SPEECH,b.wav\n", "column 'path' appears twice"),
        (
            "path,label\nä.wav,SPEECH\n".encode("latin-1"),
            "line 2: is not UTF-8 .byte 0xe4.*CSV UTF-8",
        ),
        (b"", "is empty"),
        (b'path,text\na_1.wav,"Stop\nb_2.wav,go\nc_3.wav,so"\n', "line 2: a quote .* opens here"),
        (b'path,text\na_1.wav,"Stop\nb_2.wav,go\n', "line 2: a quote .* opens here"),
        (b'path\ttext\na_1.wav\t"Stop\tgo\nb_2.wav\tgo\n', "line 2: a quote .* opens here"),
    ],
)
def test_what_cannot_be_read_without_guessing_is_told(read, content, shown):
    with pytest.raises(DataError, match=rf"clips\.csv.*{shown}"):
        read(content)


def test_many_wrong_lines_are_counted(read):
    with pytest.raises(DataError, match="and 15 more"):
        read("path,label\n" + "a.wav\n" * 25)


def test_a_quote_between_tabs_that_opens_a_sentence_swallows_no_rows(read):
    lines = ["path\ttext", 'a_1.wav\t"Stop, she said', "b_2.wav\tgo on", 'c_3.wav\tsaid "so"']
    table = read("\n".join(lines))
    assert table.frame["text"].tolist() == ['"Stop, she said', "go on", 'said "so"']
    assert table.notes == (
        'clips.csv: a quote (") in 1 line does not close and was read as a character: 2',
    )


def test_a_cell_over_several_lines_stays_one_cell(read):
    table = read('id,prompt,reward\n1,"Listen, then\nanswer, ""yes"", please",0.5\n2,Listen,0.1\n')
    assert table.frame["prompt"].tolist() == ['Listen, then\nanswer, "yes", please', "Listen"]
    assert table.lines == (2, 4)


def test_decimal_commas_and_missing_numbers(read):
    table = read("p;start_ms;name\n0,5;NA;1,5\n1;7;2\n", numbers=("p", "start_ms"))
    assert table.frame["p"].tolist() == ["0.5", "1"]
    assert table.frame["start_ms"].tolist() == ["", "7"]
    assert table.frame["name"].tolist() == ["1,5", "2"]
    # Between commas 1,500 may be fifteen hundred.
    assert read('p,n\n"1,500",a\n', numbers=("p",)).frame["p"].tolist() == ["1,500"]


# A space after a delimiter is no part of a cell.
cells = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6).map(str.lstrip)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=12),
    delimiter=st.sampled_from(",;\t"),
)
def test_what_pandas_writes_comes_back(tmp_path_factory, rows, delimiter):
    named = [(f"clips/{number}.wav", *cells) for number, cells in enumerate(rows)]
    frame = pd.DataFrame(named, columns=["path", "label", "group", "text"])
    file = tmp_path_factory.getbasetemp() / "written.csv"
    frame.to_csv(file, index=False, sep=delimiter)
    pd.testing.assert_frame_equal(read_table(file).frame, frame.astype("str"))


@settings(max_examples=200, deadline=None)
@given(
    lines=st.lists(st.text("ab1,;\t\" '", max_size=12), min_size=1, max_size=12),
    delimiter=st.sampled_from(",\t"),
)
def test_each_line_is_a_row_or_is_named(tmp_path_factory, lines, delimiter):
    body = [f"clip_{number}.wav{delimiter}{line}" for number, line in enumerate(lines)]
    file = tmp_path_factory.getbasetemp() / "messy.csv"
    file.write_text("\n".join([f"path{delimiter}text", *body]))
    read, shown = [], ()
    try:
        read = read_table(file).frame["path"].tolist()
    except DataError as error:
        shown = error.problems
    assert read == [f"clip_{n}.wav" for n in range(len(lines))] or shown
    assert all(f"{file}, line " in text or text.startswith("and ") for text in shown)
