"""The chat template of a loaded model, or a default for one that has none."""

from __future__ import annotations

from models.chat_template import CHATML, PLAIN, PLAIN_STOPS, ChatTemplate
from models.errors import TemplateError
from models.llama.vocabulary import Vocabulary
from models.types import ChatMessage, ModelFacts


def choose_template(
    facts: ModelFacts, vocabulary: Vocabulary
) -> tuple[ChatTemplate, tuple[str, ...]]:
    """Compile the model's own template, or a default with a notice that says so."""
    tokens = {"bos": vocabulary.bos_text, "eos": vocabulary.eos_text}
    reason = "The model has no chat template"
    if facts.chat_template:
        try:
            template = ChatTemplate(facts.chat_template, **tokens)
            template.render([ChatMessage("user", "?")])
        except TemplateError as error:
            reason = error.title.rstrip(".")
        else:
            return template, ()
    if vocabulary.has_special("<|im_start|>") and vocabulary.has_special("<|im_end|>"):
        return ChatTemplate(CHATML, **tokens), (f"{reason}; ChatML is used.",)
    notice = f"{reason}; plain headings are used, so answers may be poor."
    return ChatTemplate(PLAIN, **tokens, stops=PLAIN_STOPS), (notice,)
