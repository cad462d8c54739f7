"""Whether answers are better than guessing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from med_mat.baselines.errors import BaselineError


def chance_p_value(correct: Sequence[bool], offered: Sequence[int]) -> float:
    """Probability of at least as many right answers by guessing each question among its options.

    Exact: the number of right guesses is a sum of independent draws that need not be equally likely
    (Poisson-binomial).

    Args:
        correct: One per question.
        offered: Number of options of each question.

    Returns:
        In 0..1; 1 if none is right.

    Raises:
        BaselineError: No questions, not one number for each, or a number below 1.
    """
    if not correct or len(correct) != len(offered) or min(offered) < 1:
        raise BaselineError(
            f"{len(correct)} answers to questions with {sorted(set(offered))} options ({len(offered)} questions): "
            "expected one or more questions with an option or more each"
        )
    chances = np.zeros(len(correct) + 1)
    chances[0] = 1.0
    for number in offered:
        chances[1:] = chances[1:] * (1 - 1 / number) + chances[:-1] / number
        chances[0] *= 1 - 1 / number
    return float(min(1.0, chances[sum(correct) :].sum()))
