"""What happened in training, epoch by epoch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from econllm.plots import training_history
from econllm.tables import Column, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class History:
    """Course of a training.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row per epoch, indexed by "epoch" from 1: `loss`, the mean negative log-likelihood in nats per unit of
        weight over the updates of the epoch, dropout and all; `validation`, the mean log-likelihood of the validation
        sample after the epoch, missing where there is none; `learning_rate` of the last update; `seconds` since the
        start, those of interrupted runs included as far as they were saved.
    planned : int
        Epochs that were asked for.

    Examples
    --------
    >>> columns = {"loss": [1.2, 1.1], "validation": [-1.3, -1.4], "learning_rate": [1e-3, 0.0], "seconds": [1.0, 2.0]}
    >>> History(pd.DataFrame(columns, index=pd.RangeIndex(1, 3, name="epoch")), planned=5)
    <History: 2 of 5 epochs, best 1>
    """

    frame: pd.DataFrame
    planned: int

    @property
    def best_epoch(self) -> int:
        """The epoch whose weights were kept: that of the best validation, else the last."""
        if not self.has_validation:
            return len(self.frame)
        return int(self.frame["validation"].to_numpy().argmax()) + 1

    @property
    def has_validation(self) -> bool:
        """Whether a validation sample was looked at."""
        return bool(self.frame["validation"].notna().all())

    @property
    def stopped_early(self) -> bool:
        """Whether patience ended before the epochs did."""
        return len(self.frame) < self.planned

    def listed(self, most: int = 10) -> tuple[list[Column], list[Row]]:
        """Columns and rows for a table: some epochs, evenly spread, the best one among them.

        Parameters
        ----------
        most : int
            Epochs to list, the best one not counted.

        Returns
        -------
        columns : list of Column
        rows : list of Row

        Examples
        --------
        >>> columns = {"loss": [1.2, 1.1], "validation": [-1.3, -1.4], "learning_rate": [0.1, 0.0], "seconds": [1, 2]}
        >>> history = History(pd.DataFrame(columns, index=pd.RangeIndex(1, 3, name="epoch")), planned=5)
        >>> [row.label for row in history.listed()[1]]
        ['1', '2']
        """
        n = len(self.frame)
        shown = sorted({*np.linspace(0, n - 1, min(most, n)).astype(int).tolist(), self.best_epoch - 1})
        kept = self.frame[["loss", "validation", "seconds"]].iloc[shown]
        rows = [Row(str(epoch), list(values)) for epoch, values in zip(kept.index, kept.to_numpy(), strict=True)]
        return [Column("loss", ".4f"), Column("validation", ".4f"), Column("seconds", ".0f")], rows

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw the losses of training and validation by epoch.

        Parameters
        ----------
        path : str or path, optional
            File to save as well: .png, .pdf or .svg.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        OptionError
            If the file cannot be written because of its ending or its folder.
        """
        known = self.has_validation
        return training_history(
            self.frame.index.to_numpy(),
            self.frame["loss"].to_numpy(),
            -self.frame["validation"].to_numpy() if known else None,
            best=self.best_epoch if known else None,
            path=path,
        )

    def to_state(self) -> dict[str, Any]:
        """Split into plain objects and arrays, as results save them."""
        return {
            "history": {str(name): self.frame[name].to_numpy() for name in self.frame.columns},
            "planned": self.planned,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> History:
        """Rebuild from what :meth:`to_state` gave, whatever else is beside it.

        Examples
        --------
        >>> columns = {"loss": [1.2], "validation": [-1.3], "learning_rate": [0.1], "seconds": [1.0]}
        >>> history = History(pd.DataFrame(columns, index=pd.RangeIndex(1, 2, name="epoch")), planned=5)
        >>> History.from_state(history.to_state()).frame.equals(history.frame)
        True
        """
        columns = state["history"]
        index = pd.RangeIndex(1, len(columns["loss"]) + 1, name="epoch")
        return cls(pd.DataFrame(columns, index=index), state["planned"])

    def __repr__(self) -> str:
        return f"<History: {len(self.frame)} of {self.planned} epochs, best {self.best_epoch}>"
