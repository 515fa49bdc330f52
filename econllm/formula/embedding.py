"""embed(): the one term of a formula that turns text into many columns."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econllm.errors import DataError
from econllm.formula.values import NumericValue

if TYPE_CHECKING:
    from econllm.encoders import SentenceEncoder


class EmbedTerm:
    """The function behind ``embed(text, model="minilm", components=None)`` in econllm's formulas.

    It remembers the projection on principal components that was found at estimation, so that prediction uses the
    same one. :data:`econllm.embed` is the plain function of the same name.

    Examples
    --------
    >>> EmbedTerm().__is_stateful_transform__
    True
    """

    __is_stateful_transform__ = True

    def __call__(
        self,
        text: Any,
        model: str | SentenceEncoder = "minilm",
        components: int | None = None,
        *,
        _state: MutableMapping[str, Any] | None = None,
        _metadata: Any = None,
        _context: Any = None,
        _spec: Any = None,
    ) -> NumericValue:
        """Embed the texts that are there, nan elsewhere; the formula engine passes the state."""
        from econllm.encoders import Projection, check_texts, resolve_encoder

        state: MutableMapping[str, Any] = {} if _state is None else _state
        encoder = resolve_encoder(model)
        if "dtype" in state:
            # The machine of the prediction may prefer another number type than the one of the estimation.
            encoder = replace(encoder, dtype=state["dtype"])
        there = text.notna().to_numpy() if isinstance(text, pd.Series) else np.ones(len(check_texts(text)), dtype=bool)
        encoding = encoder.encode(check_texts(text if there.all() else text[there]))
        if state.setdefault("weights", encoder.weights_sha256) != encoder.weights_sha256:
            raise DataError(f"embed(): the weights of {encoder.model!r} differ from those of the estimation.")
        state.setdefault("dtype", encoding.dtype)
        vectors = encoding.vectors
        if components is not None:
            if "projection" not in state:
                state["projection"] = Projection.fit(vectors, components).to_state()
            vectors = Projection.from_state(state["projection"]).apply(vectors)
        names = tuple(f"[{i}]" for i in range(vectors.shape[1]))
        if not there.all():
            known, vectors = vectors, np.full((len(there), len(names)), np.nan, dtype=vectors.dtype)
            vectors[there] = known
        return NumericValue(vectors, names, encoding.truncated_share)
