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
        ("p.csv", f'text\n{ONE}\n"Say SPEECH for a voice,\nor NONSPEECH."\n', ["line 2", "line 3"]),
        ("p.csv", f'iteration,prompt,reward\n0,{ONE},0.7\n1,"{TWO}",0.8\n', ["line 2", "line 3"]),
        ("p.tsv", f"prompt\tba_clip\n{ONE}\t0.5\n{TWO}\t0.6\n", ["line 2", "line 3"]),
        (
            "opro_prompts.jsonl",
            "".join(json.dumps({"prompt": t, "reward": 0.5}) + "\n" for t in (ONE, TWO)),
            ["line 1", "line 2"],
        ),
        (
            "opro_memory.json",
            json.dumps([{"prompt": t, "reward": 0.5} for t in (ONE, TWO)]),
            ["entry 1", "entry 2"],
        ),
        (
            "optimization_history.json",
            json.dumps({"best_prompt": TWO, "history": [[ONE, 0.5], [{"text": TWO}, 0.6]]}),
            ["entry 1", "entry 2"],
        ),
        ("p.yaml", f"prompts:\n  - {ONE}\n  - text: {TWO}\n", ["entry 1", "entry 2"]),
        (
            "pipeline_config.yaml",
            f"optimization:\n  prompt_search:\n    templates:\n      - {ONE}\n      - {TWO}\n",
            ["entry 1", "entry 2"],
        ),
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
    expected = tuple(PoolEntry(t, p) for t, p in zip([ONE, TWO], places, strict=True))
    assert (found.entries, found.left_out, found.repeated) == (expected, (), 0)


def test_best_prompt_is_one_instruction_with_all_its_lines(tmp_path):
    found = read_pool(
        write(tmp_path, "best_prompt.txt", "Is there a voice?\nSPEECH or NONSPEECH.\n")
    )
    assert [one.text for one in found.entries] == ["Is there a voice? SPEECH or NONSPEECH."]


def test_what_a_search_scored_and_cannot_be_tried_here_is_left_out_and_named(tmp_path):
    rows = f'prompt,reward\n{ONE},0.5\nWhat do you hear?,0.4\n{ONE},0.6\n"{TWO}",0.7\n'
    found = read_pool(write(tmp_path, "opro_all_prompts.csv", rows))
    assert [one.text for one in found.entries] == [ONE, TWO]
    assert found.repeated == 1
    (left_out,) = found.left_out
    assert left_out.startswith("line 3: 'What do you hear?': does not say how to answer")


def test_templates_say_what_their_letters_mean(tmp_path):
    text = "What is it? A) SPEECH B) NONSPEECH. Answer with A or B."
    same = [{"id": "1", "text": text, "mapping": {"A": "SPEECH", "B": "NONSPEECH"}}]
    assert len(read_pool(write(tmp_path, "ab.json", json.dumps(same))).entries) == 1
    other = [{"id": "1", "text": text, "mapping": {"A": "NONSPEECH", "B": "SPEECH"}}]
    with pytest.raises(ConfigurationError, match=r"mapping: A = NONSPEECH, but .* it is SPEECH"):
        read_pool(write(tmp_path, "ab.json", json.dumps(other)))


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("p.md", ONE, "ends in none of .txt, .csv, .tsv, .jsonl, .json, .yaml, .yml"),
        ("p.yaml", "a: [", "is no YAML"),
        ("p.jsonl", f'"{ONE}"\n{{', "line 2: is no JSON value"),
        ("p.jsonl", '{"score": 1}', "line 1 = None: needed is a text, or an object with"),
        ("p.txt", "\n \n", "holds no instruction; needed is one at least"),
        ("p.txt", f"{ONE}\nTell me.\n", "p.txt, line 2: 'Tell me.': 8 characters; allowed are 10"),
        ("p.txt", f"{ONE}\nWhat do you hear?\n", "line 2: 'What do you hear\\?': does not say how"),
        ("p.txt", "<|audio|> SPEECH or NONSPEECH?", "line 1: .*special token"),
        (
            "p.csv",
            "words\nx\n",
            "needed is a column `instruction`, `prompt` or `text`; there are: words",
        ),
        ("p.csv", "", "is empty"),
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
