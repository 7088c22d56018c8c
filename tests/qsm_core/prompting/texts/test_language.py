import pytest

from qsm_core.prompting.texts.language import language_problem
from qsm_core.prompting.texts.templates import instruction_texts

ENGLISH = instruction_texts()[0]
SPANISH = "¿Hay una voz humana en este audio? Responde SPEECH o NONSPEECH."
OTHERS = {
    "Spanish": "¿Contiene este audio la voz de una persona? Responde SPEECH si es así.",
    "French": "Est-ce que cet extrait contient une voix ? Réponds SPEECH ou NONSPEECH.",
    "German": "Enthält die Aufnahme eine Stimme? Antworte mit SPEECH oder NONSPEECH.",
    "Italian": "Questo audio contiene la voce di una persona? Rispondi SPEECH o NONSPEECH.",
    "Portuguese": "Há uma voz humana em este áudio? Responda SPEECH se há, ou NONSPEECH.",
}


def test_all_templates_are_in_one_language():
    assert [language_problem(text, ENGLISH) for text in instruction_texts()] == [None] * 16


@pytest.mark.parametrize("name", OTHERS)
def test_other_languages_are_found(name):
    problem = language_problem(OTHERS[name], ENGLISH)
    assert problem is not None
    assert problem.startswith("is ")
    assert "English" in problem


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("这段音频包含人类语音吗。回答 SPEECH 或 NONSPEECH。", "CJK"),
        ("Есть ли здесь речь? SPEECH или NONSPEECH", "CYRILLIC"),
        ("音声ですか。 SPEECH or NONSPEECH", "CJK"),
        ("Is it SPEECH or NONSPEECH? 答", "CJK"),
        ("هل هذا كلام؟ SPEECH or NONSPEECH", "ARABIC"),
    ],
)
def test_letters_of_another_script_are_found(text, script):
    assert script in language_problem(text, ENGLISH)


def test_the_wanted_language_is_that_of_the_seed_instruction():
    assert language_problem("¿Es esta una voz? SPEECH o NONSPEECH, por favor.", SPANISH) is None
    assert "is English" in language_problem("Is this the voice of a person? SPEECH or not", SPANISH)


@pytest.mark.parametrize("text", ["SPEECH / NONSPEECH", "SPEECH? NONSPEECH!", "123", ""])
def test_a_text_without_small_words_passes(text):
    assert language_problem(text, ENGLISH) is None
    assert language_problem(ENGLISH, text) is None
