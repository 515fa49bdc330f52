"""Language models on the wage panel: the bundled one in every way, against logits and CAREER.

    python llm_wage.py

Split seed 0, 109 test persons, differences to MNL in nats with standard errors clustered by person. What was tuned was
chosen by the 55 validation persons; test persons are opened once.
"""

from __future__ import annotations

from typing import Any

from common import report, wage_panel
from encoder_classifier import WAGE

import econllm as el

CODES = el.ResumeTemplate(**{**vars(WAGE), "titles": "code"})
FORMULA = "occupation ~ lag(occupation) + educ + exper + black + hisp + married + lag(union)"
MODELS: dict[str, el.Estimator] = {
    "MNL": el.MNLogit(FORMULA, penalty="l2"),
    "CAREER": el.CAREER(),
    "off the shelf": el.LLM("tiny", template=WAGE),
    "off the shelf, recalibrated": el.LLM("tiny", template=WAGE, temperature="validation"),
    "prompted, titles": el.LLM("tiny", template=WAGE, prompt=el.Prompt(titles=True)),
    "prompted, 3 examples": el.LLM("tiny", template=WAGE, prompt=el.Prompt(examples=3)),
    "prompted, 3 similar": el.LLM("tiny", template=WAGE, prompt=el.Prompt(examples=3, select="similar")),
    "full": el.LLM("tiny", template=WAGE, tuning="full"),
    "full, all tokens": el.LLM("tiny", template=WAGE, tuning="full", loss="all"),
    "full, numeric titles": el.LLM("tiny", template=CODES, tuning="full"),
    "full, panel's wording": el.LLM("tiny", tuning="full"),
    "LoRA": el.LLM("tiny", template=WAGE, tuning=el.LoRA()),
    "Frozen, last 2": el.LLM("tiny", template=WAGE, tuning=el.Frozen(train_last=2)),
    "PromptTuning": el.LLM("tiny", template=WAGE, tuning=el.PromptTuning()),
    "ensemble of 5, full": el.Ensemble(el.LLM("tiny", template=WAGE, tuning="full"), members=5),
}


def main() -> None:
    train, valid, test = wage_panel().split([0.7, 0.1, 0.2], seed=0)
    fitted, figures = {}, {}
    for name, model in MODELS.items():
        fitted[name] = model.fit(train, validation=valid, seed=0)
        own: dict[str, Any] = {"validation": round(fitted[name].perplexity(valid).value, 3)}
        if isinstance(fitted[name], el.LLMResults):
            own |= {"title mass": round(fitted[name].title_mass, 4), "temperature": round(fitted[name].temperature, 3)}
        figures[name] = own
        print(name, own, flush=True)
    frame = el.compare(fitted, test, reference="MNL").frame
    for name, row in frame.iterrows():
        figures[name] |= {
            "test": round(row["perplexity"], 3),
            "with a history": round(row["history"], 3),
            "difference to MNL in nats": round(row["difference"], 4),
            "standard error": round(row["difference_std_error"], 4),
        }
    report("llm_wage", **figures)


if __name__ == "__main__":
    main()
