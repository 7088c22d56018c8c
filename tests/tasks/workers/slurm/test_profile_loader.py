"""Cluster profiles: what is read, what a stage gets, and how mistakes are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.speech.parsing import parse_parameters
from qsm_core.errors import ConfigurationError
from qsm_core.store.spec import StageDefinition
from tasks.data import make_corpus
from tasks.evaluation import evaluate
from tasks.prompting import optimize_prompt
from tasks.stage_task import all_stages
from tasks.training import train_lora
from tasks.workers.slurm.profile import SlurmProfile
from tasks.workers.slurm.profile_loader import find_profile, load_profile, shipped_profiles

GOOD = """\
resources:
  cpu: &cpu
    partition: short
    walltime: 02:00:00
    cores: 4
    memory: 8G
  gpu:
    <<: *cpu
    partition: 3090
    gres: gpu:a100:2,shard:1
stages:
  train_lora: {walltime: 1-00:00:00, memory: 64G}
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> str:
        path = tmp_path / "cluster.yaml"
        path.write_text(text)
        return str(path)

    return write


def problems(path: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_profile(path, stages=all_stages())
    return caught.value.problems


@pytest.mark.parametrize("name", shipped_profiles())
def test_shipped_profiles_can_be_used(name, monkeypatch):
    monkeypatch.setenv("USER", "somebody")
    profile = load_profile(name, stages=all_stages())
    for stage in (make_corpus, evaluate, train_lora, optimize_prompt):
        resource, request = profile.request(stage.definition)
        assert resource in profile.resources
        assert request.walltime > 2 * request.stop_margin


def test_the_3090_profile_gives_the_jobs_of_the_first_system():
    """12 h and 64 GB for training, 4 h and 48 GB in debug for the search, 2 h and 48 GB else."""
    profile = load_profile("example-3090")
    asked = {
        one.name: profile.request(one.definition)[1].facts()
        for one in (train_lora, optimize_prompt, evaluate)
    }
    parts = ("partition", "walltime", "memory", "gpus")
    assert {name: [facts[part] for part in parts] for name, facts in asked.items()} == {
        "train_lora": ["3090", "12:00:00", "64G", 1],
        "optimize_prompt": ["debug", "04:00:00", "48G", 1],
        "evaluate": ["3090", "02:00:00", "48G", 1],
    }


def test_plain_values_are_text(write):
    """YAML would read 02:00:00 as a number of seconds, 3090 as a number, 027 as 23."""
    profile = load_profile(write(GOOD + "umask: 027\n"))
    assert profile.resources["cpu"].walltime == 7200
    assert profile.resources["gpu"].partition == "3090"
    assert profile.umask == "027"


def test_gpus_are_counted(write):
    profile = load_profile(write(GOOD))
    assert profile.resources["gpu"].gpus == 2
    assert profile.resources["cpu"].gpus == 0


def test_a_stage_has_the_last_word_on_time_and_memory(write):
    profile = load_profile(write(GOOD))
    own = StageDefinition("train_lora", 1, "x", resource="gpu", walltime="03:00:00", memory="9G")
    resource, request = profile.request(own)
    assert resource == "gpu"
    assert (request.walltime, request.memory) == (24 * 3600, 64 * 1024)
    other = StageDefinition("evaluate", 1, "x", resource="gpu", walltime="03:00:00", memory="9G")
    assert profile.request(other)[1].walltime == 3 * 3600
    assert profile.request(other)[1].memory == 9 * 1024
    assert profile.request(evaluate.definition)[1] == profile.resources["gpu"]


@pytest.mark.parametrize(
    ("change", "lines", "shown"),
    [
        (("    partition: short\n", ""), ["#SBATCH --mem=8G"], "8G"),
        (("    memory: 8G\n", ""), ["#SBATCH -p short"], ""),
        (("memory: 8G", "memory: 0"), ["#SBATCH -p short", "#SBATCH --mem=0"], "0"),
        (
            ("memory: 8G", "directives: [--mem-per-cpu=2G]"),
            ["#SBATCH -p short", "#SBATCH --mem-per-cpu=2G"],
            "--mem-per-cpu=2G",
        ),
    ],
)
def test_memory_and_partition_can_be_left_to_the_site(write, tmp_path, change, lines, shown):
    """The script holds what the profile says of them, and nothing else."""
    profile = SlurmProfile("x", load_profile(write(GOOD.replace(*change))), tmp_path)
    pool = profile.pool(StageDefinition("prepare", 1, "x"))
    script = (pool.job_script() or "").splitlines()
    said = [line for line in script if line.startswith(("#SBATCH -p", "#SBATCH --mem"))]
    assert said == lines
    assert pool.facts["memory"] == shown


def test_a_stage_has_its_own_memory_also_where_its_class_gives_it_by_core(write):
    text = GOOD.replace("memory: 8G", "directives: [--mem-per-cpu=2G, --exclusive]")
    profile = load_profile(write(text))
    own = StageDefinition("train_lora", 1, "x", resource="gpu")
    _, request = profile.request(own)
    assert (request.memory, request.directives) == (64 * 1024, ("--exclusive",))
    other = StageDefinition("evaluate", 1, "x", resource="gpu", memory="9G")
    assert profile.request(other)[1] == profile.resources["gpu"]


def test_a_job_serves_a_stage_that_it_is_known_to_be_large_enough_for(write):
    cpu = load_profile(write(GOOD)).resources["cpu"]

    def has_room(memory: int | None, needed: int | None) -> bool:
        has, needs = (cpu.model_copy(update={"memory": one}) for one in (memory, needed))
        return has.has_room_for(needs)

    assert has_room(2048, 1024)
    assert not has_room(1024, 2048)
    assert has_room(None, None)
    assert has_room(0, 2048), "all of the node"
    assert has_room(0, 0)
    assert not has_room(2048, 0)
    assert not has_room(None, 1024), "what a site gives is not known"
    assert not has_room(1024, None)
    assert not cpu.has_room_for(cpu.model_copy(update={"cores": 5}))


def test_every_mistake_is_reported_at_once(write):
    text = """\
umask: 0999
scratch: relative
resources:
  cpu:
    partition: a b
    walltime: 25
    cores: zero
    memory: 12
    max_jobs: 2
    max_jobs: 3
    directives: [--array=3, --partition=x, "--x\\nls"]
  gpu:
    partion: 3090
    walltime: 00:05:00
    cores: 4
    memory: 4G
"""
    path = write(text)
    message = "\n".join(problems(path))
    for part in (
        "line 10: resources.cpu.max_jobs is given twice",
        "line 1: umask = '0999': write a umask as three octal digits",
        "line 2: scratch = 'relative': write an absolute path",
        "line 5: resources.cpu.partition = 'a b': write one word",
        "line 6: resources.cpu.walltime = '25': not a duration; write HH:MM:SS",
        "line 7: resources.cpu.cores = 'zero'",
        "line 8: resources.cpu.memory = '12': not an amount of memory; write it with its unit",
        "line 11: resources.cpu.directives.0 = '--array=3': --array is set by qsm itself",
        "line 11: resources.cpu.directives.1 = '--partition=x': use the field partition",
        "line 11: resources.cpu.directives.2",
        "line 13: resources.gpu.partion: no such field; known fields: partition, walltime",
    ):
        assert part in message
    assert all(problem.startswith(f"{path}, line ") for problem in message.splitlines())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("  gpu:", "  gpus:"), "resources has no class gpu"),
        (("train_lora:", "train_lore:"), "stages.train_lore: no such stage; known stages"),
        (
            ("{walltime: 1-00:00:00", "{resource: huge"),
            "no such class; classes of",
        ),
        (("{walltime: 1-00:00:00", "{wall: 1"), "known fields: resource, walltime, memory"),
        (("walltime: 02:00:00", "walltime: 00:08:00"), "stop_margin 00:05:00 leaves too little"),
        (
            ("    memory: 8G", "    memory: 8G\n    directives: [--mem-per-cpu=2G]"),
            "line 2: resources.cpu: memory 8G and directive --mem-per-cpu=2G: SLURM takes one",
        ),
        (
            ("    memory: 8G", "    directives: [--mem-per-cpu=2G, --mem-per-gpu 1G]"),
            "directive --mem-per-cpu=2G and directive --mem-per-gpu 1G: SLURM takes one",
        ),
        (
            ("    memory: 8G", "    directives: [-pshort, -M other]"),
            "directives.0 = '-pshort': use the field partition instead of -p",
        ),
        (
            ("    memory: 8G", "    directives: [-M other]"),
            "directives.0 = '-M other': jobs go to the cluster of the flow's node",
        ),
        (("1-00:00:00", "00:08:00"), "stages.train_lora.walltime is less than twice"),
        (
            ("resources:", "scratch: $NOBODY_SET_THIS/x\nresources:"),
            "contains a variable that is not",
        ),
        (("resources:", "resources: ["), "not valid YAML"),
        ((GOOD, ""), "resources is missing"),
        ((GOOD, "- a\n"), "expected fields with values"),
    ],
)
def test_what_cannot_work_is_reported(write, change, expected):
    assert expected in "\n".join(problems(write(GOOD.replace(*change))))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("timeout: 01:58:00", "no attempt can last so long; a job of walltime 02:00:00 stops"),
        ("directives: [--gpus=2]", "gres = 'gpu:a100:2,shard:1' asks for GPUs too; keep one"),
        ("directives: [-G 2]", "asks for GPUs too"),
        ("directives: [--nodes=2]", "a job is one worker on one node"),
        ("directives: [-N 1-4]", "a job is one worker on one node"),
        ("directives: [--ntasks-per-node=4]", "a job is one task, the worker; give cores"),
        ("directives: [--hint=a, --hint=b]", "--hint is given twice, before as '--hint=a'"),
    ],
)
def test_what_values_say_against_each_other_is_found_by_the_plan(write, line, expected):
    (problem,) = problems(write(GOOD.replace("    gres:", f"    {line}\n    gres:")))
    assert expected in problem
    assert "line 10: resources.gpu." in problem


def test_directives_that_say_nothing_against_each_other_are_kept(write):
    line = "directives: [--nodes=1, --mail-type=END, --mail-type=FAIL, --exclusive]"
    profile = load_profile(write(GOOD.replace("    gres:", f"    {line}\n    gres:")))
    assert len(profile.resources["gpu"].directives) == 4


def test_names_that_are_not_there_stand_beside_wrong_values_in_one_list(write):
    text = GOOD.replace("cores: 4", "cores: none")
    text = text.replace("train_lora: {", "train_lore: {resource: huge, ")
    found = " | ".join(problems(write(text)))
    assert "stages.train_lore: no such stage" in found
    assert "stages.train_lore.resource = 'huge': no such class; classes of this profile" in found
    assert "resources.cpu.cores = 'none'" in found


def test_a_file_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_bytes("description: Universität".encode("latin-1"))
    (problem,) = problems(str(path))
    assert str(path) in problem
    assert "needed is a YAML file in UTF-8" in problem


def test_a_profile_is_found_by_name_or_path(write):
    assert find_profile("example-3090").name == "example-3090.yaml"
    assert find_profile(write(GOOD)) == Path(write(GOOD)).resolve()


def test_an_unknown_profile_is_refused_with_the_known_ones():
    with pytest.raises(ConfigurationError, match="example-3090, example-cpu-only, or the path"):
        load_profile("example-4090")
    with pytest.raises(ConfigurationError, match="no such file"):
        load_profile("/nowhere/cluster.yaml")


def test_the_parameter_is_checked_before_anything_starts(write):
    assert parse_parameters({"cluster": write(GOOD)}).cluster.endswith("cluster.yaml")
    with pytest.raises(ConfigurationError, match="resources has no class gpu"):
        parse_parameters({"cluster": write(GOOD.replace("  gpu:", "  gpus:"))})
