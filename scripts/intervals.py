"""Means with 95 % intervals by Student's t."""

import math
import statistics

# Its two-sided 95 % quantiles by degrees of freedom.
QUANTILES = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def interval(values):
    """The mean of up to ten values and half of its interval, which one value alone does not have."""
    if len(values) == 1:
        return values[0], math.nan
    half = QUANTILES[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values), half
