"""The importers, by the forms of data that configurations and forms name."""

from qsm_core.data.config import KINDS
from qsm_core.data.importers.registry import IMPORTERS


def test_every_form_of_data_has_its_importer() -> None:
    assert ("auto", *(importer.kind for importer in IMPORTERS)) == KINDS
