"""A causal language model as scoring and training use it: tokens in, hidden states and logits out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# How a cached prefix is kept: keys and values of every layer.
Cache = list[tuple[Tensor, Tensor]]

# Rows times vocabulary of the logits that may exist at one time.
_LOGITS = 16_000_000


class Decoder(nn.Module):
    """A network with its head, and tokens of its own in front of every text where it has learned some.

    Parameters
    ----------
    network : transformers.PreTrainedModel
        Any causal language model.
    soft : torch.Tensor, optional
        Learned vectors in front of every text, shape (tokens, width).
    dropout : float
        Share of the components of token vectors and of last hidden states that is dropped in training.

    Examples
    --------
    >>> from econllm.encoders.language import load_language_model
    >>> decoder = Decoder(load_language_model("tiny", None, "float32", "cpu").network)
    >>> hidden = decoder(torch.tensor([[5, 6, 7]]))
    >>> decoder.logits(hidden).shape[:2]
    torch.Size([1, 3])
    """

    def __init__(self, network: Any, soft: Tensor | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        self.network = network
        self.dropout = dropout
        self.soft = None if soft is None else nn.Parameter(soft)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        found: torch.device = self.network.device
        return found

    @property
    def dtype(self) -> torch.dtype:
        """Number type of the weights."""
        found: torch.dtype = self.network.dtype
        return found

    @property
    def soft_tokens(self) -> int:
        """Learned vectors in front of every text."""
        return 0 if self.soft is None else len(self.soft)

    def forward(self, ids: Tensor) -> Tensor:
        """Read texts from their beginning.

        Parameters
        ----------
        ids : Tensor of int64, shape (texts, tokens)
            Padded on the right, where it changes nothing: no token sees those after it.

        Returns
        -------
        Tensor, shape (texts, tokens, width)
            Hidden states after the last layer.
        """
        inputs = self.front(ids)
        if self.training and self.dropout:
            vectors = inputs["inputs_embeds"] if self.soft_tokens else self.network.get_input_embeddings()(ids)
            inputs = {"inputs_embeds": nn.functional.dropout(vectors, self.dropout)}
        hidden: Tensor = self.network.base_model(**inputs, use_cache=False).last_hidden_state[:, self.soft_tokens :]
        return nn.functional.dropout(hidden, self.dropout, self.training)

    def read(self, ids: Tensor) -> tuple[Tensor, Cache]:
        """Read one text and remember it.

        Parameters
        ----------
        ids : Tensor of int64, shape (tokens,)

        Returns
        -------
        hidden : Tensor, shape (tokens, width)
        cache : list of (keys, values)
            Learned vectors in front included.
        """
        from transformers import DynamicCache

        # Without a configuration, because a cache that knows of sliding windows forgets what is out of them.
        cache = DynamicCache()
        found = self.network.base_model(**self.front(ids[None]), use_cache=True, past_key_values=cache)
        kept = [(layer.keys, layer.values) for layer in found.past_key_values.layers]
        return found.last_hidden_state[0, self.soft_tokens :], kept

    def extend(self, ids: Tensor, positions: Tensor, sees: Tensor, cache: Cache, read: int) -> Tensor:
        """Read more tokens after a text, each of which sees what it is told to see.

        Parameters
        ----------
        ids : Tensor of int64, shape (texts, tokens)
            What follows the remembered text, in as many texts as the cache has.
        positions : Tensor of int64, shape (texts, tokens)
            Place of every token in its text, counted from 0 at the text's first token.
        sees : Tensor of bool, shape (tokens, read + tokens)
            Which tokens of the text, and which of these, every one may look at; itself included.
        cache : list of (keys, values)
            From :meth:`read`.
        read : int
            Tokens of the remembered text.

        Returns
        -------
        Tensor, shape (texts, tokens, width)
        """
        from transformers import DynamicCache

        k = self.soft_tokens
        sees = torch.cat([sees.new_ones(len(sees), k), sees], dim=1)
        places = torch.cat([torch.arange(k + read, device=ids.device), positions[0] + k])
        found = self.network.base_model(
            input_ids=ids,
            position_ids=positions + k,
            attention_mask=self._masks(sees, positions[0] + k, places),
            past_key_values=DynamicCache(cache),
            use_cache=True,
        )
        hidden: Tensor = found.last_hidden_state
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits of the next token.

        Parameters
        ----------
        hidden : Tensor, shape (..., width)

        Returns
        -------
        Tensor, shape (..., vocabulary)
            In float32 or better but for training under autocast: at 16 bits, log probabilities differ in the second
            digit.
        """
        head, config = self.network.get_output_embeddings(), self.network.config.get_text_config()
        if type(head) is nn.Linear and not torch.is_autocast_enabled(hidden.device.type):
            kind = torch.promote_types(hidden.dtype, torch.float32)
            bias = None if head.bias is None else head.bias.to(kind)
            out = nn.functional.linear(hidden.to(kind), head.weight.to(kind), bias)
        else:
            out = head(hidden)
        # What some families do after their head; none of them has two of these.
        if getattr(config, "logit_scale", None) is not None:
            out = out * config.logit_scale
        if getattr(config, "logits_scaling", None) is not None:
            out = out / config.logits_scaling
        cap = getattr(config, "final_logit_softcapping", None)
        return out if cap is None else cap * torch.tanh(out / cap)

    def log_proba(self, hidden: Tensor, rows: Tensor, tokens: Tensor) -> Tensor:
        """Log probability of some tokens, each after some hidden state.

        Parameters
        ----------
        hidden : Tensor, shape (n, width)
        rows : Tensor of int64, shape (m,)
            Which hidden state comes before each token, ascending.
        tokens : Tensor of int64, shape (m,)

        Returns
        -------
        Tensor of float32 or float64, shape (m,)

        Notes
        -----
        Logits of all tokens exist for a few hidden states at a time only.
        """
        size = max(1, _LOGITS // self.network.get_output_embeddings().weight.shape[0])
        bounds = torch.arange(0, len(hidden) + size, size, device=rows.device)
        ends = torch.searchsorted(rows, bounds).tolist()
        out = []
        for k, (lower, upper) in enumerate(pairwise(ends)):
            if lower < upper:
                part = hidden[k * size : (k + 1) * size], rows[lower:upper] - k * size, tokens[lower:upper]
                if torch.is_grad_enabled() and len(hidden) > size:
                    # Logits are computed again on the way back, so that they need not be kept.
                    out.append(checkpoint(self._log_proba, *part, use_reentrant=False))
                else:
                    out.append(self._log_proba(*part))
        return torch.cat(out) if out else hidden.new_zeros(0, dtype=torch.float32)

    def _log_proba(self, hidden: Tensor, rows: Tensor, tokens: Tensor) -> Tensor:
        logits = self.logits(hidden)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return logits[rows, tokens] - logits.logsumexp(dim=-1)[rows]

    def front(self, ids: Tensor) -> dict[str, Tensor]:
        """Arguments of the network for texts from their beginning."""
        if self.soft is None:
            return {"input_ids": ids}
        vectors = self.network.get_input_embeddings()(ids)
        front = self.soft.to(vectors.dtype).expand(len(ids), -1, -1)
        return {"inputs_embeds": torch.cat([front, vectors], dim=1)}

    def _masks(self, sees: Tensor, queries: Tensor, keys: Tensor) -> Any:
        """What the layers take as masks; some families have layers that see a window only."""
        config = self.network.config.get_text_config()
        window = getattr(config, "sliding_window", None)
        kinds = getattr(config, "layer_types", None)
        whole = self._mask(sees)
        if not isinstance(window, int) or (kinds is not None and "sliding_attention" not in kinds):
            return whole
        near = self._mask(sees & (queries[:, None] - keys[None, :] < window))
        return near if kinds is None else {"full_attention": whole, "sliding_attention": near}

    def _mask(self, sees: Tensor) -> Tensor:
        # Plain attention adds the mask to its scores, whatever its type: one of booleans would be silently wrong.
        if self.network.config._attn_implementation == "sdpa":
            return sees[None, None]
        added = torch.zeros(sees.shape, dtype=self.dtype, device=sees.device)
        return added.masked_fill(~sees, torch.finfo(self.dtype).min)[None, None]
