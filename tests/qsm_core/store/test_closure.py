"""What a stage can reach, and which edits change its digest."""

from __future__ import annotations

import ast
import json

import pytest

from qsm_core.errors import SpecError
from qsm_core.store.closure import code_digests
from qsm_core.store.spec import build_spec
from qsm_core.store.syntax import digest_tree, imported_names


def digest(source: str) -> str:
    return digest_tree(ast.parse(source))


@pytest.mark.parametrize(
    "other",
    [
        "# a comment\ndef f(x):\n    return x + 1\n",
        'def f(x):\n    """Says what it does."""\n    return x + 1\n',
        '"""A module."""\n\ndef f(x):\n    return (x\n        + 1)\n',
        "def f(x): return x+1",
        'def f(x):\n    return x + 1\n    "a string that does nothing"\n',
    ],
)
def test_words_and_layout_change_nothing(other):
    assert digest(other) == digest("def f(x):\n    return x + 1\n")


@pytest.mark.parametrize(
    "other",
    [
        "def f(x):\n    return x + 2\n",
        "def f(x):\n    return x + 1.0\n",
        "def f(x):\n    return x + True\n",
        "def f(x):\n    return x - 1\n",
        "def f(y):\n    return y + 1\n",
        "def f(x, /):\n    return x + 1\n",
        "async def f(x):\n    return x + 1\n",
        "def f(x):\n    return x + 1\nf(1)\n",
        "def f(x=None):\n    return x + 1\n",
    ],
)
def test_meaning_changes_the_digest(other):
    assert digest(other) != digest("def f(x):\n    return x + 1\n")


def test_an_empty_module_and_its_docstring_are_the_same():
    assert digest("") == digest('"""Now it says what it is."""\n')


def test_constants_of_other_types_differ():
    sources = ["x = None", "x = 0", "x = 0.0", "x = '0'", "x = b'0'", "x = False", "x = ..."]
    assert len({digest(source) for source in sources}) == len(sources)


def test_every_form_of_import_is_seen():
    source = """
import a.b
import a.c as d
from a import e
from . import f
from .g import h
from .. import i
from ..j.k import l
def late():
    import a.m
    from importlib import import_module
    import_module("a.n")
class C:
    from a.o import p
try:
    import a.q
except ImportError:
    import a.r
if TYPE_CHECKING:
    import a.only_types
else:
    import a.s
"""
    found = set(imported_names(ast.parse(source), "top.package"))
    assert found >= {
        "a.b", "a.c", "a", "a.e", "top.package.f", "top.package.g", "top.package.g.h", "top.i",
        "top.j.k", "top.j.k.l", "a.m", "a.n", "a.o", "a.o.p", "a.q", "a.r", "a.s",
    }  # fmt: skip
    assert "a.only_types" not in found


def test_closure_has_the_packages_and_what_functions_import(toys):
    modules = code_digests(toys.count.entry)
    assert {toys.name, f"{toys.name}.count", f"{toys.name}.arithmetic"} <= set(modules)
    assert f"{toys.name}.unreached" not in modules
    assert f"{toys.name}.scaling" not in modules


def test_the_store_itself_is_not_in_a_closure(toys):
    assert not [name for name in code_digests(toys.count.entry) if "qsm_core.store" in name]


def test_core_modules_of_qsm_are_followed(toys):
    toys.edit("arithmetic", "def plus", "from qsm_core.seeding import derive_seed\n\n\ndef plus")
    assert "qsm_core.seeding" in code_digests(toys.count.entry)


def test_only_an_edit_that_is_reached_changes_the_digests(toys):
    before = code_digests(toys.count.entry)
    toys.edit("unreached", "VALUE = 1", "VALUE = 2")
    toys.edit("scaling", "FACTOR = 1", "FACTOR = 2")
    toys.edit("arithmetic", "Add two numbers.", "Return the sum of two numbers.")
    toys.edit("arithmetic", "    return a + b", "    # the sum\n    return a + b")
    assert code_digests(toys.count.entry) == before
    toys.edit("arithmetic", "return a + b", "return b + a")
    after = code_digests(toys.count.entry)
    assert [name for name in after if after[name] != before[name]] == [f"{toys.name}.arithmetic"]


def test_package_init_is_reached(toys):
    before = code_digests(toys.total.entry)
    (toys.folder / "__init__.py").write_text("LIMIT = 3\n")
    assert code_digests(toys.total.entry) != before


def test_package_data_counts_as_code(toys):
    (toys.folder / "page.html").write_text("<p>one</p>")
    pattern = f"{toys.name}/*.html"
    before = code_digests(toys.total.entry, package_data=(pattern,))
    (toys.folder / "page.html").write_text("<p>two</p>")
    after = code_digests(toys.total.entry, package_data=(pattern,))
    assert [name for name in after if after[name] != before[name]] == [f"{toys.name}/page.html"]


def test_missing_things_are_refused(toys):
    with pytest.raises(SpecError, match="no such module"):
        code_digests(f"{toys.name}.nowhere")
    with pytest.raises(SpecError, match="not installed"):
        code_digests("no_such_package_at_all.stage")
    with pytest.raises(SpecError, match="no file has such a name"):
        code_digests(toys.total.entry, package_data=(f"{toys.name}/*.css",))
    toys.edit("scaling", "FACTOR = 1", "FACTOR = = 1")
    with pytest.raises(SpecError, match=r"scaling\.py cannot be parsed"):
        code_digests(toys.total.entry)


def test_key_is_the_same_in_another_process_with_another_hash_seed(toys):
    config = {"n": 3, "names": ["b", "a"], "nested": {"z": 1.5, "a": None}}
    code = (
        "import json, sys\nfrom qsm_core.store.spec import *\n"
        f"definition = StageDefinition('count', 1, '{toys.name}.count', ('numpy',))\n"
        "print(build_spec(definition, json.loads(sys.argv[1]), {}).key)"
    )
    keys = {
        toys.run(code, json.dumps(config), PYTHONHASHSEED=seed).strip() for seed in ("1", "4242")
    }
    assert keys == {build_spec(toys.count, config, {}).key}
