"""Names that are equal for a person are equal for the program, and can be printed."""

import pytest

from qsm_core.conditions.grid import parse_condition
from qsm_core.labels import parse_label
from qsm_core.spelling import caseless, normalized, printable


@pytest.mark.parametrize(
    "text", ["anna b", " anna  b\t", "anna\N{NO-BREAK SPACE}b", "\ufeffanna b\u200b"]
)
def test_space_and_what_cannot_be_seen_make_no_other_name(text):
    assert normalized(text) == "anna b"


def test_composed_and_decomposed_letters_are_one_name_and_capitals_are_not():
    assert normalized("Zoe\N{COMBINING DIAERESIS}") == "Zo\N{LATIN SMALL LETTER E WITH DIAERESIS}"
    assert normalized("Anna") != normalized("anna")
    assert caseless("\N{FULLWIDTH LATIN CAPITAL LETTER A}nna ") == caseless("anna")


def test_names_that_no_terminal_can_show_are_escaped():
    assert printable("caf\udce9 \x1b[2K\n.wav") == r"caf\xe9 \x1b[2K\n.wav"
    assert printable("d\u00e9j\u00e0 vu").encode() == "d\u00e9j\u00e0 vu".encode()


@pytest.mark.parametrize("key", ["snr_-10dB ", "SNR_-10db", "snr_\N{MINUS SIGN}10dB"])
def test_a_condition_is_read_however_it_is_spelt(key):
    assert parse_condition(key).key == "snr_-10dB"
    assert parse_condition("Dur_20ms").key == "dur_20ms"
    assert parse_condition("Filter_BandPass").key == "filter_bandpass"
    assert parse_label("\u200bNon\N{NO-BREAK SPACE}Speech").value == "NONSPEECH"
