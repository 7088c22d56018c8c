"""The report's tables as files: CSV and Parquet with all digits, LaTeX and Markdown as shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from qsm_core.reporting.page.latex import latex_table
from qsm_core.reporting.page.markdown import view_markdown
from qsm_core.reporting.page.table_view import TableView


@dataclass(frozen=True)
class ReportTable:
    """A table as numbers, and as a reader sees it (None: it is not shown)."""

    numbers: pd.DataFrame
    view: TableView | None = None

    @property
    def empty(self) -> bool:
        """Whether there is no row."""
        return self.numbers.empty


def write_tables(folder: Path, tables: Mapping[str, ReportTable]) -> None:
    """Write each table that has rows in all its forms; equal tables give equal bytes."""
    for name, table in tables.items():
        if table.empty:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        numbers = table.numbers.reset_index(drop=True)
        numbers.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
        _with_one_type_a_column(numbers).to_parquet(folder / f"{name}.parquet", index=False)
        if table.view is not None:
            text = latex_table(table.view, name.replace("_", "-"))
            (folder / f"{name}.tex").write_text(text, encoding="utf-8")
            text = view_markdown(table.view) + "\n"
            (folder / f"{name}.md").write_text(text, encoding="utf-8")


def _with_one_type_a_column(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with mixed columns, such as levels of several dimensions, as text."""
    mixed = {}
    for name in table.columns:
        kinds = {type(value) for value in table[name].dropna()}
        if table[name].dtype == object and len(kinds) > 1:
            mixed[name] = table[name].map(str, na_action="ignore")
    return table.assign(**mixed)
