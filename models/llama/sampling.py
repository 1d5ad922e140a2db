"""Generation options as llama.cpp's chain of samplers."""

from __future__ import annotations

import secrets

from models.llama.binding import Handle, Native
from models.types import GenerationOptions

_LAST_TOKENS = 64
_SEEDS = 0xFFFF_FFFE  # the largest seed; 0xFFFFFFFF asks llama.cpp for a random one


class Sampler:
    """Picks the next token; give it back with ``close``.

    The order is llama.cpp's usual one: penalties, top-k, top-p, min-p, temperature, draw. The
    penalty counts the answer's tokens only: quoting the notes is not repetition.
    """

    def __init__(self, native: Native, options: GenerationOptions, vocabulary: int) -> None:
        self._native = native
        self._chain = native.llama_sampler_chain_init(native.llama_sampler_chain_default_params())
        for sampler in self._samplers(options, vocabulary):
            native.llama_sampler_chain_add(self._chain, sampler)

    def _samplers(self, options: GenerationOptions, vocabulary: int) -> list[Handle]:
        native = self._native
        chosen = []
        if options.repeat_penalty != 1.0:
            penalty = max(0.01, options.repeat_penalty)
            chosen.append(
                native.llama_sampler_init_penalties(vocabulary, _LAST_TOKENS, penalty, 0.0, 0.0)
            )
        if options.temperature <= 0:
            return [*chosen, native.llama_sampler_init_greedy()]
        if options.top_k > 0:
            chosen.append(native.llama_sampler_init_top_k(options.top_k))
        if options.top_p < 1:
            chosen.append(native.llama_sampler_init_top_p(options.top_p, 1))
        if options.min_p > 0:
            chosen.append(native.llama_sampler_init_min_p(options.min_p, 1))
        seed = secrets.randbelow(_SEEDS) if options.seed is None else options.seed % _SEEDS
        return [
            *chosen,
            native.llama_sampler_init_temp(options.temperature),
            native.llama_sampler_init_dist(seed),
        ]

    def sample(self, context: Handle) -> int:
        """Pick and accept a token from the last logits."""
        return int(self._native.llama_sampler_sample(self._chain, context, -1))

    def close(self) -> None:
        """Free the chain."""
        if self._chain is not None:
            self._native.llama_sampler_free(self._chain)
            self._chain = None
