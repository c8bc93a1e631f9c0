"""Floating-point operations that a training step needs: matrix products, and additions of looked-up rows.

A product of [n, i] with [i, o] takes 2 n i o, and backwards the same for its weights and, where something before it
learns, for its input. A row looked up is an addition for each unit, forwards and backwards: not a one-hot product.
Elementwise functions, the softmax and Adam are left out, so the share of the machine's limit is a little understated.
"""

CONDITION_FIELDS, DATE_FIELDS = 4, 4
SIZES = {"decade": 41, "month": 12, "digit": 10, "day": 31}


def product(rows, inputs, outputs, passes=3):
    """`passes`: 1 forwards, 2 with the weights' gradient, 3 with the input's as well."""
    return 2 * rows * inputs * outputs * passes


def trunk(settings, rows):
    """All that does not depend on z, for dates given (teacher forcing)."""
    angles, additive = settings["angles"], settings["trunk"] == "additive"
    state = 2 * angles if additive else angles + angles // 2
    features = 2 * angles if additive else 2 * angles + angles // 2
    looked_up = CONDITION_FIELDS + (3 if settings["heads"] == "autoregressive" else 0)
    total = 2 * rows * looked_up * state
    # The state before each field: with independent heads it is the same for all.
    states = DATE_FIELDS if settings["heads"] == "autoregressive" else 1
    total += states * product(rows, state, features) if additive else 0
    return total + sum(product(rows, features, width) for width in widths(settings).values())


def widths(settings):
    hidden = settings["hidden_dim"]
    return {field: max(hidden // 4, 1) if field in ("decade", "month") else hidden for field in SIZES}


def heads(settings, rows, latent_passes):
    """What depends on z. `latent_passes`: 0 where z is 0, 2 where it is drawn, 3 where an encoder learns from it."""
    total = product(rows, settings["latent_dim"], 2 * sum(widths(settings).values()), latent_passes)
    for field, width in widths(settings).items():
        total += product(rows, width, width) + product(rows, width, SIZES[field])
    return total


def encoder(settings, rows, passes=3):
    hidden, latent = settings["hidden_dim"], settings["latent_dim"]
    looked_up = (2 if passes == 3 else 1) * rows * (CONDITION_FIELDS + DATE_FIELDS) * hidden
    return looked_up + product(rows, hidden, hidden, passes) + product(rows, hidden, 2 * latent, passes)


def step(case, phase):
    """Operations of one training step of the case that `benches/measure.rs` describes."""
    settings, batch = case["model"], case["batch"]
    if phase == "calendar":
        return trunk(settings, batch) + heads(settings, batch, 0)
    total = trunk(settings, batch) + heads(settings, batch, 3) + encoder(settings, batch)
    if phase == "code":
        return total
    if case["pairing"] == "own":
        return total + heads(settings, batch, 2)
    # Codes are paired with their conditions' dates, whose posteriors and trunk are computed once each.
    dates = round(batch / case["codes"] * case["dates_per_condition"])
    densities = 4 * batch * case["dates_per_condition"] * settings["latent_dim"]
    return total + trunk(settings, dates) + heads(settings, batch, 2) + encoder(settings, dates, 1) + densities
