"""The engine's loop: prompt in, text out, over llama.cpp's low-level interface."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Generator, Iterator, Sequence

from models.chat_template import ChatTemplate
from models.errors import ContextFullError, GenerationError
from models.facts import read_facts
from models.llama.loading import Loaded, load
from models.llama.run import Run
from models.llama.sampling import Sampler
from models.llama.template import choose_template
from models.llama.text import TextAssembler
from models.llama.vocabulary import Vocabulary
from models.types import (
    Cancelled,
    ChatMessage,
    Delta,
    GenerationOptions,
    LoadedModel,
    LoadOptions,
    Prefilling,
    Report,
    StreamEvent,
    ignore_progress,
    never_cancelled,
)

_CPU_STEP = 128
"""Tokens of a prompt computed between two reports on a CPU; a GPU takes whole batches."""
_ANSWERS_KEPT = 64
_ABORTED = 2
_SEQUENCE = 0


class LlamaModel:
    """A GGUF model in llama.cpp; satisfies ``ChatModel``.

    One answer at a time. Everything but ``cancel`` belongs to one thread. What a conversation has
    in common with the one before stays in the cache and is not read again.
    """

    def __init__(
        self, loaded: Loaded, info: LoadedModel, vocabulary: Vocabulary, template: ChatTemplate
    ) -> None:
        self._loaded = loaded
        self._native = loaded.native
        self._info = info
        self._vocabulary = vocabulary
        self._template = template
        self._cache: list[int] = []
        self._answers: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self._cancel = threading.Event()
        self._active: Generator[StreamEvent, None, None] | None = None
        size = int(self._native.llama_n_batch(loaded.context))
        self._step = size if loaded.plan.gpu_layers else min(size, _CPU_STEP)
        self._batch = self._native.llama_batch_init(size, 0, 1)
        self._memory = self._native.llama_get_memory(loaded.context)

    @classmethod
    def load(
        cls,
        options: LoadOptions,
        report: Report = ignore_progress,
        cancelled: Cancelled = never_cancelled,
    ) -> LlamaModel:
        """Check the file's header, then load it.

        ``report`` gets thousandths. Raises ``ModelNotFoundError``, ``HeaderError``, ``LoadError``
        and ``LoadCancelled``.
        """
        started = time.perf_counter()
        facts = read_facts(options.path)
        loaded = load(options, facts, report, cancelled)
        vocabulary = Vocabulary(loaded.native, loaded.model)
        template, notices = choose_template(facts, vocabulary)
        context = min(int(loaded.native.llama_n_ctx(loaded.context)), loaded.plan.context)
        if options.context > context:
            notices += (f"The model was made for {facts.context:,} tokens of context at most.",)
        if loaded.plan.remedies:
            notices += (f"{loaded.plan.verdict} {loaded.plan.remedies[0]}",)
        if 0 <= loaded.plan.gpu_layers < options.gpu_layers:
            notices += (f"{loaded.plan.gpu_layers} layers are on the GPU, fewer than asked.",)
        info = LoadedModel(
            name=options.name or facts.name,
            path=options.path,
            quant=facts.quant,
            architecture=facts.architecture,
            context=context,
            gpu_layers=loaded.plan.gpu_layers,
            total_layers=loaded.plan.total_layers,
            size=facts.tensor_bytes,
            load_seconds=time.perf_counter() - started,
            notices=notices,
        )
        return cls(loaded, info, vocabulary, template)

    @property
    def info(self) -> LoadedModel:
        """What is loaded."""
        return self._info

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokenizer."""
        return self._vocabulary

    def prompt_ids(self, messages: Sequence[ChatMessage]) -> list[int]:
        """Return the token ids of a whole prompt. Raises ``TemplateError``."""
        pieces = self._template.render(messages)
        return self._vocabulary.encode_prompt(pieces, self._answers)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Count the tokens of each text, read as data."""
        return [len(self._vocabulary.encode_data(text, continues=True)) for text in texts]

    def count_prompt(self, messages: Sequence[ChatMessage]) -> int:
        """Count the tokens of the whole prompt, template included. Raises ``TemplateError``."""
        return len(self.prompt_ids(messages))

    def cancel(self) -> None:
        """Stop the running answer within a token, or within a layer of a prompt's batch."""
        self._cancel.set()
        self._loaded.abort[0] = b"\1"

    def close(self) -> None:
        """Give the memory back; idempotent."""
        if self._loaded.context is None:
            return
        self._end_active()
        self._native.llama_batch_free(self._batch)
        self._loaded.free()

    def stream(
        self, messages: Sequence[ChatMessage], options: GenerationOptions
    ) -> Iterator[StreamEvent]:
        """Write the next message.

        Raises ``TemplateError``, ``ContextFullError`` and ``GenerationError``, the first two
        before anything is computed.
        """
        if self._loaded.context is None:
            raise GenerationError("The model is closed.", "Load it again.")
        self._end_active()
        prompt = self.prompt_ids(messages)
        if len(prompt) + 1 > self._info.context:
            raise ContextFullError(
                f"The prompt has {len(prompt):,} tokens and the model holds "
                f"{self._info.context:,}.",
                "Ask with fewer notes, begin a new conversation, or load the model with a longer "
                "context.",
            )
        self._cancel.clear()
        self._loaded.abort[0] = b"\0"
        stops = (*options.stop, *self._template.stops)
        self._active = self._answer(Run(prompt, options, TextAssembler(stops)))
        return self._active

    def _end_active(self) -> None:
        """Close an answer that its reader abandoned; refuse while another thread reads it."""
        active, self._active = self._active, None
        if active is None:
            return
        try:
            active.close()
        except ValueError as error:  # the generator is running
            self._active = active
            raise GenerationError(
                "The model is answering already.", "Wait, or stop that answer."
            ) from error

    def _answer(self, run: Run) -> Generator[StreamEvent, None, None]:
        yield from self._prefill(run)
        if not run.prefilled:
            run.reason = "cancelled"
            yield run.completed()
            return
        sampler = Sampler(self._native, run.options, self._vocabulary.size)
        try:
            yield from self._decode(run, sampler)
        finally:
            sampler.close()
        yield from run.show(run.text.finish())
        self._remember(run)
        yield run.completed()

    def _prefill(self, run: Run) -> Iterator[Prefilling]:
        """Read the prompt; ``run.prefilled`` stays 0 when the person stopped it."""
        total = len(run.prompt)
        done = run.cached = self._keep_prefix(run.prompt)
        yield Prefilling(done, total, run.cached)
        while done < total:
            step = run.prompt[done : done + self._step]
            last = done + len(step) == total
            if self._cancel.is_set() or not self._compute(step, done, logits=last):
                return
            done += len(step)
            if last:
                self._native.llama_synchronize(self._loaded.context)
                run.prefilled = time.perf_counter()
            yield Prefilling(done, total, run.cached)

    def _decode(self, run: Run, sampler: Sampler) -> Iterator[Delta]:
        """Write tokens until the model, a stop text, a limit or the person ends it."""
        context, vocabulary = self._loaded.context, self._vocabulary
        limit = min(run.options.max_tokens, self._info.context - len(run.prompt))
        run.reason = "length"
        while len(run.written) < limit:
            if self._cancel.is_set():
                run.reason = "cancelled"
                return
            token = sampler.sample(context)
            if vocabulary.is_end(token):
                run.reason = "stop"
                return
            run.written.append(token)
            yield from run.show(run.text.push(vocabulary.piece(token)))
            if run.text.stopped:
                run.reason = "stop"
                return
            at = len(run.prompt) + len(run.written) - 1
            if len(run.written) < limit and not self._compute([token], at, logits=True):
                run.reason = "cancelled"
                return

    def _keep_prefix(self, prompt: Sequence[int]) -> int:
        """Cut the cache to what it has in common with the prompt and return that length.

        The last token of the prompt is always computed again: its logits are not kept. Models
        whose state cannot be cut (recurrent ones) begin anew.
        """
        common = 0
        for have, want in zip(self._cache, prompt[:-1], strict=False):
            if have != want:
                break
            common += 1
        if not self._native.llama_memory_seq_rm(self._memory, _SEQUENCE, common, -1):
            self._native.llama_memory_clear(self._memory, True)
            common = 0
        del self._cache[common:]
        return common

    def _compute(self, tokens: Sequence[int], start: int, *, logits: bool) -> bool:
        """Compute tokens at positions from ``start``; false when the person stopped it."""
        batch = self._batch
        batch.n_tokens = len(tokens)
        for n, token in enumerate(tokens):
            batch.token[n] = token
            batch.pos[n] = start + n
            batch.n_seq_id[n] = 1
            batch.seq_id[n][0] = _SEQUENCE
            batch.logits[n] = 0
        batch.logits[len(tokens) - 1] = logits
        result = self._native.llama_decode(self._loaded.context, batch)
        if result == 0:
            self._cache += tokens
            return True
        self._forget_from(start)
        if result == _ABORTED or self._cancel.is_set():
            return False
        raise GenerationError(
            f"llama.cpp failed while it computed (code {result}).",
            "Ask again; if it fails again, load the model with a shorter context.",
        )

    def _forget_from(self, position: int) -> None:
        """Drop what a failed computation left in the cache."""
        if not self._native.llama_memory_seq_rm(self._memory, _SEQUENCE, position, -1):
            self._native.llama_memory_clear(self._memory, True)
            position = 0
        del self._cache[position:]

    def _remember(self, run: Run) -> None:
        """Keep the ids of an answer, so that it is found in the cache when it comes back."""
        text = "".join(run.shown)
        controls = any(self._vocabulary.is_control(token) for token in run.written)
        if not text.strip() or controls or run.text.stopped:
            return
        for key in (text, text.strip()):
            self._answers[key] = tuple(run.written)
            self._answers.move_to_end(key)
        while len(self._answers) > _ANSWERS_KEPT:
            self._answers.popitem(last=False)
