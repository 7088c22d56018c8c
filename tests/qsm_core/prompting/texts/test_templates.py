import subprocess
import sys

from qsm_core.prompting.texts.templates import baseline, instruction_texts, templates


def test_fifteen_templates_in_order_each_of_its_own_kind():
    assert [template.id for template in templates()] == [f"T{i:02d}" for i in range(1, 16)]
    assert len({template.kind for template in templates()}) == 15
    assert len(set(instruction_texts())) == 16
    assert instruction_texts()[0] == baseline().text


def test_every_text_keeps_the_rules_for_candidates():
    for text in instruction_texts():
        assert 10 <= len(text) <= 300, text
        assert "SPEECH" in text.replace("NONSPEECH", ""), text
        assert "NONSPEECH" in text, text
        assert "<|" not in text
        assert text == " ".join(text.split())
    assert {t.answer_format for t in (baseline(), *templates())} == {"labels"}


def test_texts_can_be_read_without_torch():
    code = (
        "import sys; from qsm_core.prompting.texts.templates import templates; templates(); "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
