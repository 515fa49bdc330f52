"""Encoders: from texts to vectors.

Importing this room is cheap: torch and transformers are imported when a text is first encoded.
"""

from econllm.encoders.cache import VectorStore, cache_folder, text_key
from econllm.encoders.embed import Embed, FittedEmbedding, embed, similarity
from econllm.encoders.projection import Projection
from econllm.encoders.sentence import Encoding, SentenceEncoder, resolve_encoder
from econllm.encoders.texts import check_texts
from econllm.encoders.tokens import Kept, shorten

__all__ = [
    "Embed",
    "Encoding",
    "FittedEmbedding",
    "Kept",
    "Projection",
    "SentenceEncoder",
    "VectorStore",
    "cache_folder",
    "check_texts",
    "embed",
    "resolve_encoder",
    "shorten",
    "similarity",
    "text_key",
]
