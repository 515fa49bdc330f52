"""embed(), similarity() and embeddings that work inside the formulas of other packages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from econllm.encoders.projection import Projection
from econllm.encoders.sentence import Encoding, SentenceEncoder, resolve_encoder, warn_truncated
from econllm.encoders.texts import Texts, check_texts
from econllm.errors import DataError, FormulaError, ModelNotFoundError, OptionError, check_number

Model = str | os.PathLike[str] | SentenceEncoder

_FITTED_FORM = "emb = el.embed.fitted(df.text, components=k)"


@dataclass(frozen=True, eq=False)
class FittedEmbedding:
    """An encoder with remembered principal components, to be used in formulas as ``emb(text)``.

    Made by ``el.embed.fitted(texts, ...)``. Works by name in formulas of statsmodels (patsy), linearmodels and
    formulaic, in estimation and in prediction: new texts are projected on the components of the texts it was fitted
    on.

    Attributes
    ----------
    encoder : SentenceEncoder
        With number type, pooling, layer and length as they were when it was fitted.
    weights_sha256 : str
        sha256 of the weights it was fitted with; others are refused.
    projection : Projection or None
        None where all dimensions are kept.
    dimension : int
        Number of columns.
    truncated_share : float
        Share of the texts it was fitted on that were cut.

    Examples
    --------
    >>> import statsmodels.formula.api as smf  # doctest: +SKIP
    >>> emb = embed.fitted(df.resume, components=10)  # doctest: +SKIP
    >>> smf.ols("lwage ~ educ + emb(resume)", df).fit().predict(new)  # doctest: +SKIP
    """

    encoder: SentenceEncoder
    weights_sha256: str
    projection: Projection | None
    dimension: int
    truncated_share: float

    # formulaic calls objects marked so with its own arguments, by which they know that a formula is being evaluated.
    __is_stateful_transform__ = True

    @classmethod
    def fit(
        cls,
        encoder: SentenceEncoder,
        encoding: Encoding,
        components: int | None = None,
        weights: np.ndarray | None = None,
    ) -> FittedEmbedding:
        """Find the components of vectors that are already there.

        Parameters
        ----------
        encoder : SentenceEncoder
            The encoder that made them.
        encoding : Encoding
            Its vectors.
        components : int, optional
            How many principal components to keep; all dimensions as they are by default.
        weights : ndarray, optional
            Weights of the rows.

        Returns
        -------
        FittedEmbedding

        Raises
        ------
        OptionError
            If there are fewer rows, dimensions or distinct directions than `components`.
        """
        projection = None if components is None else Projection.fit(encoding.vectors, components, weights)
        dimension = encoding.vectors.shape[1] if projection is None else len(projection.shares)
        return cls(encoder.pinned(), encoder.weights_sha256, projection, dimension, encoding.truncated_share)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, counted from "0" as patsy does by itself."""
        return tuple(str(i) for i in range(self.dimension))

    def transform(self, texts: Texts) -> np.ndarray:
        """Columns for texts.

        Parameters
        ----------
        texts : str, Resume, or a sequence, array or Series of them

        Returns
        -------
        ndarray of float64, shape (n, dimension)

        Raises
        ------
        DataError
            If texts are missing or are no texts.
        ModelNotFoundError
            If the weights are absent or are not those it was fitted with.

        Warns
        -----
        TruncationWarning
            If texts were cut.
        """
        items = check_texts(texts, getattr(texts, "name", None))
        found = self.encoder.weights_sha256
        if found != self.weights_sha256:
            raise ModelNotFoundError(
                f"the weights of model {self.encoder.model!r} on this machine (sha256 {found[:12]}...) are not those "
                f"this embedding was fitted with (sha256 {self.weights_sha256[:12]}...)."
            )
        encoding = self.encoder.encode(items)
        warn_truncated(encoding)
        vectors = encoding.vectors
        return vectors.astype(np.float64) if self.projection is None else self.projection.apply(vectors)

    def __call__(
        self, texts: Texts, *, _state: Any = None, _metadata: Any = None, _context: Any = None, _spec: Any = None
    ) -> Any:
        """Columns for a formula.

        Parameters
        ----------
        texts : str, Resume, or a sequence, array or Series of them

        Returns
        -------
        pandas.DataFrame, or formulaic's FactorValues when formulaic calls

        Raises
        ------
        DataError
            If texts are missing or are no texts.
        """
        rows = texts.index if isinstance(texts, pd.Series) else None
        frame = pd.DataFrame(self.transform(texts), index=rows, columns=list(self.columns))
        if _state is None and _spec is None:
            return frame
        from formulaic.materializers.types import FactorValues

        # A dict of columns, because formulaic cannot drop rows from a frame held as one factor.
        return FactorValues(dict(frame.items()), kind="numerical", spans_intercept=False)

    def get_required_variables(self, texts: Any) -> tuple[()]:
        """Tell formulaic that the term needs no column beyond its argument."""
        return ()

    def to_state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Split into options that JSON can hold and arrays.

        Returns
        -------
        options : dict
        arrays : dict of ndarray
            Empty where all dimensions are kept.
        """
        encoder = self.encoder
        options = {
            "model": encoder.model,
            "revision": encoder.revision,
            "pooling": encoder.pooling,
            "max_tokens": encoder.max_tokens,
            "dtype": encoder.dtype,
            "layer": encoder.layer,
            "weights_sha256": self.weights_sha256,
            "dimension": self.dimension,
            "truncated_share": self.truncated_share,
        }
        return options, {} if self.projection is None else self.projection.to_state()

    @classmethod
    def from_state(cls, options: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> FittedEmbedding:
        """Rebuild from `to_state`. Weights are looked for when texts are first transformed."""
        names = ("model", "revision", "pooling", "max_tokens", "dtype", "layer")
        return cls(
            encoder=SentenceEncoder(**{name: options[name] for name in names}),
            weights_sha256=options["weights_sha256"],
            projection=Projection.from_state(arrays) if arrays else None,
            dimension=int(options["dimension"]),
            truncated_share=float(options["truncated_share"]),
        )


class _PatsyEmbed:
    """What patsy makes of a bare ``embed(text, components=k)``: it fits once and remembers."""

    def __init__(self) -> None:
        self._chunks: list[Encoding] = []
        self._encoder: SentenceEncoder | None = None
        self._components: int | None = None
        self._fitted: FittedEmbedding | None = None

    def memorize_chunk(self, texts: Texts, model: Model = "minilm", components: int | None = None) -> None:
        self._encoder, self._components = resolve_encoder(model), components
        self._chunks.append(self._encoder.encode(texts))

    def memorize_finish(self) -> None:
        assert self._encoder is not None
        parts = [(chunk.vectors, chunk.truncated) for chunk in self._chunks]
        vectors, truncated = (np.concatenate(part) for part in zip(*parts, strict=True))
        whole = Encoding(vectors, truncated, self._chunks[0].dtype, self._chunks[0].max_tokens)
        self._fitted = FittedEmbedding.fit(self._encoder, whole, self._components)
        # patsy keeps this object with the results, which must not hold rows of the data.
        self._chunks = []

    def transform(self, texts: Texts, model: Model = "minilm", components: int | None = None) -> pd.DataFrame:
        assert self._fitted is not None
        frame: pd.DataFrame = self._fitted(texts)
        return frame


class Embed:
    """Turn texts into vectors: ``el.embed(texts)``.

    ``embed(texts, model="minilm")`` returns an (n, d) array. In formulas of econllm, and bare in those of statsmodels,
    ``embed(text, components=k)`` is one term of k columns, whose principal components are remembered. For other
    packages make the term beforehand, ``emb = el.embed.fitted(df.text, components=k)``, and write ``emb(text)``.

    Examples
    --------
    >>> embed(["Cook", "Clerk"]).shape  # doctest: +SKIP
    (2, 384)
    """

    # With this mark formulaic hands over its own arguments, by which a formula of another package is recognised.
    __is_stateful_transform__ = True
    __patsy_stateful_transform__ = _PatsyEmbed

    def __call__(
        self,
        texts: Texts,
        model: Model = "minilm",
        components: int | None = None,
        *,
        _state: Any = None,
        _metadata: Any = None,
        _context: Any = None,
        _spec: Any = None,
    ) -> np.ndarray:
        """Turn texts into vectors.

        Parameters
        ----------
        texts : str, Resume, or a sequence, array or Series of them
        model : str, path or SentenceEncoder
            Name or folder of an encoder or a causal language model, or an encoder with options of its own.
        components : int, optional
            Only in formulas: principal components must be remembered, which a plain function cannot.

        Returns
        -------
        ndarray of float32, shape (n, d)

        Raises
        ------
        OptionError
            If `components` is given outside a formula.
        FormulaError
            If used inside a formula that would not remember it.
        DataError
            If texts are missing or are no texts.
        ModelNotFoundError
            If the model is neither on this machine nor to be had from a hub.

        Warns
        -----
        TruncationWarning
            If texts were cut.
        """
        if _state is not None or _spec is not None:
            raise _foreign_formula()
        if components is not None:
            raise OptionError(
                f"embed(..., components={components!r}) outside a formula would forget its components, and other texts "
                f"would get others. Use {_FITTED_FORM} and emb.transform(texts)."
            )
        encoding = resolve_encoder(model).encode(texts)
        warn_truncated(encoding)
        return encoding.vectors

    def get_required_variables(self, texts: Any, model: Any = None, components: Any = None) -> tuple[()]:
        """Tell formulaic that the term needs no column beyond its argument."""
        return ()

    def fitted(
        self, texts: Texts, model: Model = "minilm", components: int | None = None, weights: Any = None
    ) -> FittedEmbedding:
        """Make a term ``emb(text)`` for the formulas of other packages.

        Parameters
        ----------
        texts : str, Resume, or a sequence, array or Series of them
            The estimation sample's texts, as often as they occur there.
        model : str, path or SentenceEncoder
        components : int, optional
            How many principal components to keep; by default all dimensions, as they are.
        weights : array-like, shape (n,), optional
            Weights of the rows in the principal components, not negative.

        Returns
        -------
        FittedEmbedding

        Raises
        ------
        OptionError
            If `components` is not a whole number, or larger than the texts allow.
        DataError
            If texts are missing or are no texts, or weights do not belong to them.
        ModelNotFoundError
            If the model is neither on this machine nor to be had from a hub.

        Warns
        -----
        TruncationWarning
            If texts were cut.

        Examples
        --------
        >>> emb = embed.fitted(df.resume, components=10)  # doctest: +SKIP
        >>> emb.transform(new.resume).shape  # doctest: +SKIP
        (3, 10)
        """
        if components is not None:
            check_number("components", components, minimum=1, integer=True)
        items = check_texts(texts, getattr(texts, "name", None))
        rows = None if weights is None else _check_weights(weights, len(items))
        encoder = resolve_encoder(model)
        encoding = encoder.encode(items)
        warn_truncated(encoding)
        return FittedEmbedding.fit(encoder, encoding, components, rows)

    def __repr__(self) -> str:
        return "embed"

    def __reduce__(self) -> str:
        # Pickled by name, like a function.
        return "embed"


embed = Embed()


def similarity(a: Texts, b: Texts, model: Model = "minilm") -> np.ndarray:
    """Cosine similarity of every text in `a` with every text in `b`.

    Parameters
    ----------
    a, b : str, Resume, or a sequence, array or Series of them
    model : str, path or SentenceEncoder

    Returns
    -------
    ndarray of float64, shape (len(a), len(b))
        Between -1 and 1; 0 where a vector has no length.

    Raises
    ------
    DataError
        If texts are missing or are no texts.
    ModelNotFoundError
        If the model is neither on this machine nor to be had from a hub.

    Warns
    -----
    TruncationWarning
        If texts were cut.

    Examples
    --------
    >>> similarity("Cook", ["Chef", "Lawyer"]).argmax()  # doctest: +SKIP
    0
    """
    encoder = resolve_encoder(model)
    sides = []
    for texts in (a, b):
        _refuse_vectors(texts)
        encoding = encoder.encode(texts)
        warn_truncated(encoding)
        vectors = encoding.vectors.astype(np.float64)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        sides.append(np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0))
    cosines: np.ndarray = np.clip(sides[0] @ sides[1].T, -1.0, 1.0)
    return cosines


def _refuse_vectors(texts: Any) -> None:
    listed = (
        isinstance(texts, list | tuple) and len(texts) > 0 and isinstance(texts[0], list | np.ndarray | float | int)
    )
    if listed or getattr(getattr(texts, "dtype", None), "kind", "O") in "iuf":
        raise DataError(
            "similarity(a, b) takes texts, not numbers. Cosines of vectors are products: "
            "embed(texts) @ embed(texts).T, where the model gives vectors of length one, as the default does."
        )


def _foreign_formula() -> FormulaError:
    """The error for a formula of another package, of a kind that formulaic passes on as it is."""
    from formulaic.errors import FactorEvaluationError

    class ForeignFormulaError(FormulaError, FactorEvaluationError):  # type: ignore[misc]
        """embed() stands bare in a formula that econllm does not evaluate."""

    return ForeignFormulaError(
        "embed(...) cannot stand in this formula, since what it fits would not be remembered in prediction. "
        f"Make the term first, {_FITTED_FORM}, and write emb(text) in the formula."
    )


def _check_weights(weights: Any, rows: int) -> np.ndarray:
    array: np.ndarray = np.asarray(weights, dtype=np.float64)
    if array.shape != (rows,) or not np.isfinite(array).all() or (array < 0).any() or array.sum() <= 0:
        raise DataError(f"weights must be {rows} finite numbers, none negative and not all zero: one per text.")
    return array
