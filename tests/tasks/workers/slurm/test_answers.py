"""What SLURM printed, among lines of anything: only what has the form that was requested counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.workers.slurm.answers import (
    QUEUE_FORMAT,
    read_job_number,
    read_peaks,
    read_queue,
    read_record,
)

BANNERS = st.sampled_from(
    [
        "",
        "-----------------------------------------------------------------",
        "   Welcome to the Example Supercomputer",
        "--> Verifying valid submit host...OK",
        "CLUSTER: one",
        "Submitted batch job",
        "Your quota: 1200 of 5000",
        "JOBID PARTITION NAME USER ST",
        "17_3",
        "0",
        "qsm\x1f17\x1fqsm-0123abcd-cpu\x1fRUNNING",
        "JobId=17 JobName=other",
    ]
)
NOISE = st.lists(
    BANNERS | st.text(st.characters(exclude_categories=["Nd"]), max_size=80), max_size=5
)
NUMBERS = st.integers(1, 2**31).map(str)
WORDS = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=60).map(str.strip)
JOBS = st.tuples(
    NUMBERS,
    st.sampled_from(["PENDING", "RUNNING", "COMPLETED", "NODE_FAIL"]),
    WORDS,  # the reason
    st.sampled_from(["", "node-1", "(null)"]),
    st.sampled_from(["1795265040", "N/A", "Unknown", "2026-11-21T10:00:00"]),
    WORDS,  # the comment
)


def _lines(before: list[str], answer: str, after: list[str]) -> str:
    return "\n".join([*before, answer, *after]) + "\n"


@given(NOISE, NUMBERS, st.sampled_from(["{}", "{};one", "{}\r", "Submitted batch job {}"]), NOISE)
def test_the_number_of_a_job_is_found_among_anything(before, number, form, after):
    assert read_job_number(_lines(before, form.format(number), after)) == number


@given(NOISE)
def test_what_holds_no_number_gives_none(lines):
    assert read_job_number("\n".join(lines)) is None
    assert read_queue("\n".join(lines)) == []
    assert read_record("\n".join(lines), "17") is None


def test_of_two_numbers_none_is_taken():
    assert read_job_number("2026\n1007\n") is None
    assert read_job_number("1007\n1007\n") == "1007"


@given(st.lists(st.tuples(NOISE, JOBS), max_size=4), NOISE)
def test_the_jobs_of_a_queue_are_found_among_anything(listed, after):
    lines = []
    for noise, (number, state, reason, node, moment, comment) in listed:
        values = (number, "qsm-0123abcd-cpu", state, reason, node, "p", moment, moment, moment)
        line = QUEUE_FORMAT
        for field, value in zip(QUEUE_FORMAT.split("\x1f")[1:-1], (*values, comment), strict=True):
            line = line.replace(f"\x1f{field}\x1f", f"\x1f{value}\x1f", 1)
        lines += [*noise, line]
    found = read_queue("\n".join([*lines, *after]))
    assert [(one.job_id, one.state, one.reason) for one in found] == [job[:3] for _, job in listed]
    for one, (_, job) in zip(found, listed, strict=True):
        assert one.comment == ("" if job[5] == "(null)" else job[5])
        assert one.elapsed_s >= 0


@given(NOISE, NUMBERS, NOISE)
def test_the_record_of_one_job_is_found_among_anything(before, number, after):
    line = (
        f"JobId={number} JobName=qsm-0123abcd-cpu UserId=me(1) JobState=PENDING Reason=Priority X=y"
    )
    assert read_record(_lines(before, line, after), number) == ("PENDING", "Priority")
    assert read_record(_lines(before, line, after), f"1{number}") is None


@given(NOISE)
def test_peaks_are_those_of_steps(lines):
    text = _lines(lines, "7.batch|2048K\n7.0|1.5M\n7|", lines)
    assert read_peaks(text)["7"] == 2048 * 1024
