"""A table view as LaTeX: booktabs, every cell escaped, ready for a paper."""

from __future__ import annotations

import re

from qsm_core.reporting.page.table_view import TableView

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\N{MINUS SIGN}": r"$-$",
    "\N{EN DASH}": "--",
    "\N{PRIME}": r"$'$",
    "\N{DAGGER}": r"\textdagger{}",
    "\N{INFINITY}": r"$\infty$",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
    "\N{NO-BREAK SPACE}": "~",
}
_SPECIAL = re.compile("[" + re.escape("".join(_ESCAPES)) + "]")


def latex_table(view: TableView, label: str) -> str:
    """Return a table environment; it needs the package booktabs.

    Args:
        view: What to show.
        label: For references, without the `tab:` in front.
    """
    columns = "".join("l" if i in view.text_columns else "r" for i in range(len(view.headers)))
    lines = [
        r"% Needs \usepackage{booktabs}.",
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escaped(view.caption)}.}}",
        rf"  \label{{tab:{label}}}",
        rf"  \begin{{tabular}}{{{columns}}}",
        r"    \toprule",
        _row(view.headers),
        r"    \midrule",
        *map(_row, view.rows),
        r"    \bottomrule",
        r"  \end{tabular}",
        *(rf"  \par\footnotesize {escaped(note)}" for note in view.notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Return text with everything escaped that LaTeX would interpret."""
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], " ".join(str(text).split(" ")))


def _row(cells: tuple[str, ...]) -> str:
    # LaTeX would read a cell that begins with a bracket as an argument of the preceding line break.
    texts = (escaped(" ".join(cell.split("\n"))) for cell in cells)
    shown = (f"{{{text}}}" if text.startswith("[") else text for text in texts)
    return "    " + " & ".join(shown) + r" \\"
