import json

import pytest

from qsm_core.errors import ConfigurationError
from qsm_core.prompting.texts.pool import PoolEntry, read_pool

ONE = "Is it SPEECH or NONSPEECH?"
TWO = "Say SPEECH for a voice, or NONSPEECH."


def write(folder, name, content):
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("p.txt", f"{ONE}\n\n   {TWO}  \n", ["line 1", "line 3"]),
        ("p.TXT", f"\ufeff{ONE}\r\n{TWO}", ["line 1", "line 2"]),
        ("p.csv", f'id,instruction\n1,{ONE}\n2,"{TWO}"\n', ["line 2", "line 3"]),
        ("p.csv", f'text\n{ONE}\n"Say SPEECH for a voice,\nor NONSPEECH."\n', ["line 2", "line 4"]),
        ("p.json", json.dumps([ONE, {"text": TWO}]), ["entry 1", "entry 2"]),
        (
            "p.json",
            json.dumps({"format": "labels", "templates": [{"id": "a", "text": ONE}, TWO]}),
            ["entry 1", "entry 2"],
        ),
    ],
)
def test_every_form_is_read(tmp_path, name, content, places):
    found = read_pool(write(tmp_path, name, content))
    assert found == tuple(PoolEntry(t, p) for t, p in zip([ONE, TWO], places, strict=True))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("p.yaml", ONE, "ends in none of .txt, .csv, .json"),
        ("p.txt", "\n \n", "holds no instruction; needed is one at least"),
        ("p.txt", f"{ONE}\nTell me.\n", "p.txt, line 2: 'Tell me.': 8 characters; allowed are 10"),
        ("p.txt", f"{ONE}\nWhat do you hear?\n", "line 2: 'What do you hear\\?': does not say how"),
        ("p.txt", "<|audio|> SPEECH or NONSPEECH?", "line 1: .*special token"),
        ("p.csv", "prompt\nx\n", "needed is a column `instruction` or `text`; there are: prompt"),
        ("p.csv", "", "needed is a column"),
        ("p.csv", "text,more\n,x\n", "line 2: '': 0 characters"),
        ("p.json", "{", "Expecting property name"),
        ("p.json", "3", "needed is a list of texts"),
        ("p.json", '["SPEECH or NONSPEECH?", 7]', "entry 2 = 7: needed is a text"),
        ("p.json", '[{"id": "a"}]', "entry 1 = None: needed is a text"),
        ("p.json", "[" * 100_000, "nested too deeply"),
    ],
)
def test_what_cannot_be_used_is_reported_with_its_place(tmp_path, name, content, problem):
    with pytest.raises(ConfigurationError, match=problem):
        read_pool(write(tmp_path, name, content))


def test_all_problems_are_reported_together(tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        read_pool(write(tmp_path, "p.txt", f"short\n{ONE}\nWhat do you hear?\n"))
    assert [problem.split(": ")[0][-6:] for problem in caught.value.problems] == [
        "line 1",
        "line 3",
    ]


def test_files_that_do_not_exist_and_no_text_are_reported(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        read_pool(tmp_path / "missing.txt")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        read_pool(tmp_path)
    (tmp_path / "bad.txt").write_bytes(b"SPEECH \xff or NONSPEECH")
    with pytest.raises(ConfigurationError, match="needed is a text file in UTF-8"):
        read_pool(tmp_path / "bad.txt")
