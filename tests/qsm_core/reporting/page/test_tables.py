"""Tables and pictures stay whole in Markdown and LaTeX, whatever their cells hold."""

from qsm_core.reporting.page.latex import escaped, latex_table
from qsm_core.reporting.page.markdown import picture_markdown, text_markdown, view_markdown
from qsm_core.reporting.page.table_view import TableView, flat_table


def test_cells_cannot_break_a_table() -> None:
    view = TableView("A_b", ("x", "y"), (("a|b", "<i>\nnew *line*"),), notes=("note",))
    lines = view_markdown(view).splitlines()
    assert lines[0] == "*A\\_b*"
    assert lines[4] == "| a\\|b | &lt;i&gt; new \\*line\\* |"
    assert lines[-1] == "- note"
    assert len({line.replace("\\|", "").count("|") for line in lines[2:5]}) == 1


def test_an_interval_is_never_broken_into_two_lines() -> None:
    view = TableView("t", ("System", "BA"), (("Base", "78.2 [71.8, 84.7]"),))
    assert view_markdown(view).splitlines()[-1] == ("| Base | 78.2 [71.8,\N{NO-BREAK SPACE}84.7] |")


def test_latex_prints_what_stands_there() -> None:
    text = "a_b & 50 % {x} $1 #2 ~ ^ \\ <i> \N{MINUS SIGN}1 \N{EN DASH}"
    assert escaped(text) == (
        r"a\_b \& 50 \% \{x\} \$1 \#2 \textasciitilde{} \textasciicircum{} "
        r"\textbackslash{} \textless{}i\textgreater{} $-$1 --"
    )
    assert escaped("1 [0, 2]\N{DAGGER}") == r"1 [0, 2]\textdagger{}"
    view = TableView("100 %", ("System", "BA"), (("A & B", "[1, 2]"),), notes=("n_1",))
    lines = latex_table(view, "x").splitlines()
    assert r"  \caption{100 \%.}" in lines
    assert r"  \begin{tabular}{lr}" in lines
    assert r"    A \& B & {[1, 2]} \\" in lines  # else \\ of the row before takes it
    assert lines.count(r"    \toprule") == lines.count(r"    \bottomrule") == 1


def test_nested_values_become_rows() -> None:
    table = flat_table({"a": {"b": 1, "c": [1, 2]}, "d": [{"e": None}], "f": {}})
    assert table.to_dict("list") == {
        "name": ["a.b", "a.c", "d.0.e"],
        "value": [1, "1, 2", None],
    }


def test_pictures() -> None:
    markdown = picture_markdown("T", b"\x89PNG", "see [this]\nthere")
    assert "![see (this) there](data:image/png;base64,iVBORw==)" in markdown


def test_texts_have_a_heading_paragraphs_and_tables() -> None:
    view = TableView("t", ("System", "BA"), (("Base", "1"),))
    text = text_markdown("A_b", ["One *two*.", "Three."], [view])
    start = "## A\\_b\n\nOne \\*two\\*.\n\nThree.\n\n*t*\n\n| System | BA |\n"
    assert text.startswith(start)
    assert text.endswith("| Base | 1 |\n")
