"""Log-likelihood of what happened: one plain pass per document serves all its titles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from econllm.encoders.sentence import plan_batches
from econllm.llm.decoder import Decoder
from econllm.llm.documents import Document, Documents
from econllm.options import Loss

# Texts, and the hidden states whose logits are wanted, are filled up to a multiple of these: kernels are compiled for
# every shape, which takes time and memory.
_STEP, _ROWS = 16, 64


class Batch(NamedTuple):
    """Documents side by side, and the tokens of them that count.

    Attributes
    ----------
    ids : Tensor of int64, shape (documents, tokens)
        Padded on the right.
    before : Tensor of int64, shape (m,)
        Place, among all tokens of the batch one document after the other, of the token before each that counts;
        ascending.
    tokens : Tensor of int64, shape (m,)
        The tokens that count.
    rows : numpy.ndarray of int64, shape (m,)
        Row that each of them belongs to; with `loss="all"`, the first row of the document.
    """

    ids: Tensor
    before: Tensor
    tokens: Tensor
    rows: np.ndarray


def title_ends(documents: Documents) -> np.ndarray:
    """Tokens of the realised title of every row.

    Raises
    ------
    TypeError
        If outcomes are not known.
    """
    if documents.outcome is None:
        raise TypeError("the outcomes of these documents are not known.")
    lengths = documents.trie.depths[documents.trie.leaves] + 1
    out: np.ndarray = lengths[documents.outcome]
    return out


def collate(
    items: Sequence[Document],
    titles: np.ndarray,
    loss: Loss = "titles",
    device: torch.device | None = None,
    limit: int | None = None,
) -> Batch:
    """Put documents side by side.

    Parameters
    ----------
    items : sequence of Document
        With outcomes.
    titles : numpy.ndarray of int64, shape (rows,)
        Tokens of the realised title of every row, from :func:`title_ends`.
    loss : {"titles", "all"}
        Whether the tokens of titles count, with what ends them, or all but the first of each document.
    device : torch.device, optional
        Where the batch goes.
    limit : int, optional
        Most tokens that the network reads, which nothing is filled up beyond.

    Returns
    -------
    Batch
    """
    longest = max(len(item.ids) for item in items)
    longest = max(longest, min(-(-longest // _STEP) * _STEP, longest if limit is None else limit))
    ids = np.zeros((len(items), longest), dtype=np.int64)
    before, rows = [], []
    for k, item in enumerate(items):
        ids[k, : len(item.ids)] = item.ids
        if loss == "all":
            before.append(k * longest + np.arange(len(item.ids) - 1))
            rows.append(np.full(len(item.ids) - 1, item.rows[0]))
        else:
            counts = titles[item.rows]
            within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            before.append(k * longest + np.repeat(item.cuts, counts) + within - 1)
            rows.append(np.repeat(item.rows, counts))
    places = np.concatenate(before)
    return Batch(
        torch.as_tensor(ids).to(device),
        torch.as_tensor(places).to(device),
        torch.as_tensor(ids.ravel()[places + 1]).to(device),
        np.concatenate(rows),
    )


def token_log_proba(decoder: Decoder, batch: Batch) -> Tensor:
    """Log probability of every token that counts, shape (m,)."""
    count = len(batch.before)
    places = nn.functional.pad(batch.before, (0, -count % _ROWS))
    hidden = decoder(batch.ids).flatten(0, 1)[places]
    return decoder.log_proba(hidden, torch.arange(count, device=hidden.device), batch.tokens)


def realised(decoder: Decoder, documents: Documents, batch_tokens: int) -> np.ndarray:
    """Log P of the realised title of every row, as the chain rule gives it.

    Parameters
    ----------
    decoder : Decoder
        The language model.
    documents : Documents
        With outcomes.
    batch_tokens : int
        Padded tokens that are read at a time.

    Returns
    -------
    numpy.ndarray of float64, shape (rows,)
    """
    titles = title_ends(documents)
    out = np.zeros(len(titles))
    with torch.inference_mode():
        for some in plan_batches(documents.lengths, batch_tokens):
            batch = collate([documents.items[k] for k in some], titles, "titles", decoder.device, documents.limit)
            found = token_log_proba(decoder, batch).double().cpu().numpy()
            np.add.at(out, batch.rows, found)
    return out
