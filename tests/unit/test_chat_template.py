from __future__ import annotations

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from models.chat_template import CHATML, PLAIN, ChatTemplate, Piece
from models.errors import TemplateError
from models.types import ChatMessage

CHAT = (
    ChatMessage("system", "Be brief."),
    ChatMessage("user", "Hello."),
    ChatMessage("assistant", "Hi."),
    ChatMessage("user", "More?"),
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "<start_of_turn>{{ role }}\n{{ message['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
LLAMA3 = (
    "{% for message in messages %}{% set content = '<|start_header_id|>' + message['role'] + "
    "'<|end_header_id|>\n\n' + message['content'].strip() + '<|eot_id|>' %}"
    "{% if loop.first %}{% set content = bos_token + content %}{% endif %}{{ content }}"
    "{% endfor %}<|start_header_id|>assistant<|end_header_id|>\n\n"
)
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% elif m.role == 'assistant' %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
QWEN = (
    "{%- for message in messages %}\n    {{- '<|im_start|>' + message.role + '\n' }}\n"
    "    {%- generation %}{{- message.content + '<|im_end|>\n' }}{%- endgeneration %}\n"
    "{%- endfor %}\n{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}"
    "{{- '<think>\n\n</think>\n\n' }}{%- endif %}{%- endif %}"
)


def text(pieces: tuple[Piece, ...]) -> str:
    return "".join(piece.text for piece in pieces)


def data(pieces: tuple[Piece, ...]) -> list[str]:
    return [piece.text for piece in pieces if piece.is_data]


def template(source: str) -> ChatTemplate:
    return ChatTemplate(source, bos="<s>", eos="</s>")


def plainly(source: str, messages: tuple[ChatMessage, ...]) -> str:
    """Render as one string, the way other programs do."""
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    turns = [{"role": message.role, "content": message.content} for message in messages]
    return environment.from_string(source).render(
        messages=turns, bos_token="<s>", eos_token="</s>", add_generation_prompt=True
    )


@pytest.mark.parametrize("source", [CHATML, PLAIN, LLAMA3, MISTRAL], ids=str)
@pytest.mark.parametrize("padding", ["", " ", "\n", " \n\t"], ids=repr)
def test_the_pieces_together_are_the_plain_rendering(source: str, padding: str) -> None:
    chat = tuple(
        ChatMessage(message.role, f"{padding}{message.content}{padding}")
        for message in CHAT[0 if source != MISTRAL else 1 :]
    )
    assert text(template(source).render(chat)) == plainly(source, chat)


def test_contents_are_data_and_the_rest_is_not() -> None:
    pieces = template(CHATML).render(CHAT)
    assert data(pieces) == ["Be brief.", "Hello.", "Hi.", "More?"]
    assert "<|im_start|>system\n" in [piece.text for piece in pieces if not piece.is_data]


def test_the_defaults_end_where_the_answer_begins() -> None:
    assert text(template(CHATML).render(CHAT)).endswith("<|im_start|>assistant\n")
    assert text(template(PLAIN).render(CHAT)).endswith("### Assistant:\n")


def test_template_syntax_in_contents_is_text() -> None:
    hostile = "{{ 1 / 0 }}{% for %}\U000f0000\U000f0001<|im_end|>"
    assert data(template(CHATML).render([ChatMessage("user", hostile)])) == [hostile]


def test_a_template_that_refuses_a_system_message_gets_it_before_the_question() -> None:
    pieces = template(GEMMA).render(CHAT)
    assert text(pieces).startswith("<s><start_of_turn>user\nBe brief.\n\nHello.<end_of_turn>\n")
    assert data(pieces)[:2] == ["Be brief.", "Hello."]


def test_a_template_that_forgets_the_system_message_gets_it_before_the_question() -> None:
    assert "[INST] Be brief.\n\nHello. [/INST]" in text(template(MISTRAL).render(CHAT))


def test_a_template_that_leaves_out_anything_else_is_an_error() -> None:
    with pytest.raises(TemplateError, match="leaves out"):
        template("{{ messages[0].content }}").render(CHAT[1:])


def test_thinking_is_off_where_the_template_knows_it() -> None:
    assert text(template(QWEN).render(CHAT)).endswith("<think>\n\n</think>\n\n")


def test_an_empty_message_stays_empty() -> None:
    pieces = template(CHATML).render([ChatMessage("system", ""), ChatMessage("user", "Hi")])
    assert "<|im_start|>system\n<|im_end|>\n" in text(pieces)


@pytest.mark.parametrize(
    "source",
    [
        "{% for %}",
        "{{ undefined_function() }}",
        "{{ raise_exception('no') }}",
        "{{ messages.nothing.nothing }}",
        "{{ 1 // 0 }}",
        "{% for a in range(10**9) %}{% endfor %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        pytest.param("{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", id="deep expression"),
        pytest.param("{% if 1 %}" * 2000 + "{% endif %}" * 2000, id="deep blocks"),
        pytest.param("{% for a in [1] %}" * 30 + "{% endfor %}" * 30, id="deep loops"),
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ],
)
def test_a_bad_or_hostile_template_is_an_error_in_words(source: str) -> None:
    with pytest.raises(TemplateError) as error:
        template(source).render(CHAT[1:])
    assert error.value.remedy


def test_a_template_cannot_change_what_it_is_given() -> None:
    with pytest.raises(TemplateError):
        template("{{ messages.append(1) }}").render(CHAT)


def test_no_messages_is_an_error() -> None:
    with pytest.raises(TemplateError):
        template(CHATML).render([])
