"""The multinomial logit: options, estimation, results and effects. Its engine, on arrays, is :mod:`econllm.logit`.

Examples
--------
>>> import numpy as np
>>> import pandas as pd
>>> rng = np.random.default_rng(0)
>>> df = pd.DataFrame({"x": rng.normal(size=300)})
>>> df["y"] = np.where(df["x"] + rng.logistic(size=300) > 0, "work", "home")
>>> fit = mnlogit("y ~ x", df, cov_type="robust")
>>> fit.params.round(2).to_dict()
{('work', 'Intercept'): 0.04, ('work', 'x'): 1.34}
>>> fit.marginal_effects(df, "x", outcomes="work").estimates.round(3).tolist()
[0.247]
"""

from econllm.multinomial.function import mnlogit
from econllm.multinomial.marginal import MarginalEffects
from econllm.multinomial.model import MNLogit
from econllm.multinomial.results import MNLogitResults
from econllm.multinomial.two_stage import TwoStageMNLogitResults

__all__ = ["MNLogit", "MNLogitResults", "MarginalEffects", "TwoStageMNLogitResults", "mnlogit"]
