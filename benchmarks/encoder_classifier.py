"""A fine-tuned sentence encoder against CAREER and the multinomial logit, on the same persons.

    python benchmarks/encoder_classifier.py                                        # wage panel
    python benchmarks/encoder_classifier.py --data nlsy97 --minutes 40 --threads 2

Split seed 0; validation persons choose the epoch, test persons are opened once per model. On NLSY97 the encoder is
trained on as many persons as fit in the minutes, by the speed of two short trainings, and the others on the same ones;
the minutes hold its training and validation, not the evaluation on all test persons.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from typing import Any

import numpy as np
from common import FORMULA, PeakMemory, nlsy97_panel, report, wage_panel

import econllm as el

# The penalty that the validation sample of NLSY97 chose, in the units of a sum over rows.
ALPHA = 1.3744
# Persons whose training tells the speed.
PROBE = 40
# Short wordings, because time is proportional to tokens.
WAGE = el.ResumeTemplate(
    opening="",
    person="black {black}, hisp {hisp}",
    record="{time} school {educ} work {exper} {married}: {title}",
    details=" [{union}]",
    closing="",
    values={
        "black": {0: "no", 1: "yes"},
        "hisp": {0: "no", 1: "yes"},
        "married": {0: "single", 1: "married"},
        "union": {0: "no union", 1: "union"},
    },
)
NLSY97 = el.ResumeTemplate(
    opening="",
    person="{sex}, {race}, born {birth_year}",
    record="{time} {education}: {title}",
    details="",
    closing="",
)


def draw(panel: el.CareerPanel, persons: int) -> el.CareerPanel:
    """Persons of a panel drawn at random, or all of them where there are no more."""
    share = persons / len(panel.persons)
    return panel if share >= 1 else panel.split([share, 1 - share], seed=1)[0]


def affordable(model: el.EncoderClassifier, train: el.CareerPanel, minutes: float) -> int:
    """Persons whose training, and validation on a seventh as many, takes some minutes."""
    probe, times = draw(train, PROBE), []
    for epochs in (1, 1, 2):  # the first reads weights from disk
        short = model.replace(training=dataclasses.replace(model.schedule, epochs=epochs))
        clock = time.perf_counter()
        short.fit(probe, seed=0)
        times.append(time.perf_counter() - clock)
    training = (times[2] - times[1]) / len(probe.persons)
    scoring = max(times[1] / len(probe.persons) - training, 0.0)
    epochs = model.schedule.epochs
    per_person = epochs * (training + scoring / 7) + scoring
    return int(60 * minutes / per_person)


def measure(model: el.Estimator, train: el.CareerPanel, valid: el.CareerPanel) -> tuple[Any, dict[str, Any]]:
    with PeakMemory() as memory:
        clock = time.perf_counter()
        fit = model.fit(train, validation=valid, seed=0)
        seconds = time.perf_counter() - clock
    figures: dict[str, Any] = {"fit seconds": round(seconds, 1), "peak memory, GB": round(memory.peak, 2)}
    if isinstance(model, el.EncoderClassifier):
        frame = fit.history.frame
        rate = len(train) * len(frame) / frame["seconds"].iloc[-1]
        figures["rows per second, training and validation"] = round(rate, 1)
        figures["validation perplexity by epoch"] = np.exp(-frame["validation"]).round(3).tolist()
        figures["texts truncated"] = round(fit.info.truncated, 3)
    return fit, figures


def compared(fits: dict[str, Any], test: el.CareerPanel) -> dict[str, Any]:
    """Perplexities, and the encoder's paired differences to the others with clustered 95% intervals."""
    frame = el.compare(fits, test, reference="EncoderClassifier").frame
    found: dict[str, Any] = {
        "perplexity, all and with a history": {
            name: [round(row["perplexity"], 3), round(row["history"], 3)] for name, row in frame.iterrows()
        }
    }
    for name in ("MNL", "CAREER"):
        # The table has the others less the encoder.
        gap = -frame.loc[name, ["difference", "difference_upper", "difference_lower"]]
        found[f"encoder less {name}, nats, 95% interval"] = gap.astype(float).round(4).tolist()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["wage", "nlsy97"], default="wage")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--max-tokens", type=int, default=96)
    parser.add_argument("--frozen", type=int, default=0)
    parser.add_argument("--test-persons", type=int, help="evaluate on so many test persons of NLSY97; all by default")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(given.threads)
    wage = given.data == "wage"
    panel = wage_panel() if wage else nlsy97_panel()
    train, valid, test = panel.split([0.7, 0.1, 0.2], seed=0)
    model = el.EncoderClassifier(template=WAGE if wage else NLSY97, max_tokens=given.max_tokens, frozen=given.frozen)
    if given.epochs:
        model = model.replace(training=dataclasses.replace(model.schedule, epochs=given.epochs))
    if not wage:
        persons = affordable(model, train, given.minutes)
        train, valid = draw(train, persons), draw(valid, max(persons // 7, 50))
        test = draw(test, given.test_persons) if given.test_persons else test
    formula = "occupation ~ lag(occupation) + educ + exper + black + hisp + married + lag(union)" if wage else FORMULA
    models = {
        "MNL": el.MNLogit(formula, penalty="l2", **({} if wage else {"alpha": ALPHA / len(train)})),
        "CAREER": el.CAREER(),
        "EncoderClassifier": model,
    }
    figures: dict[str, Any] = {
        "persons": [len(part.persons) for part in (train, valid, test)],
        "rows": [len(part) for part in (train, valid, test)],
        "threads": given.threads,
        "model": repr(model),
        "training": repr(model.schedule),
    }
    fits = {}
    for name, each in models.items():
        fits[name], figures[name] = measure(each, train, valid)
    report(f"encoder_classifier_{given.data}", **figures, **compared(fits, test))


if __name__ == "__main__":
    main()
