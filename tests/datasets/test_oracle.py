import numpy as np
import pytest

import econllm as el
from econllm.errors import DataError


def test_the_oracle_predicts_with_the_truth():
    panel = el.datasets.simulate_careers(80, 5, seed=2)
    fitted = el.Oracle().fit(panel)
    assert np.array_equal(fitted.predict_proba(panel).to_numpy(), np.exp(np.log(panel.truth.to_numpy())))
    scores = np.log(panel.truth.to_numpy()[np.arange(len(panel)), panel.outcome])
    assert fitted.perplexity(panel).value == pytest.approx(np.exp(-scores.mean()), rel=1e-12)
    assert "True probabilities" in str(fitted)


def test_real_careers_have_no_oracle(wage_panel):
    with pytest.raises(DataError, match="only simulated careers know"):
        el.Oracle().fit(wage_panel)


def test_a_saved_oracle_comes_back(tmp_path):
    panel = el.datasets.simulate_careers(30, 3, seed=2)
    fitted = el.Oracle().fit(panel)
    fitted.save(tmp_path / "oracle")
    assert np.array_equal(el.load(tmp_path / "oracle").log_proba(panel), fitted.log_proba(panel))
