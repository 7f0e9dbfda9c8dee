"""Plausible wrong answers to the exercises of notebook 02, each with a part of its hint."""

DRAWN = """
rng, fits = np.random.default_rng(seed), []
x = np.column_stack([np.ones(len(frame)), frame.drop(columns=target)])
goal = frame[target].to_numpy()
for _ in range(times):
    rows = {rows}
    fits.append(np.linalg.lstsq(x[rows], goal[rows], rcond=None)[0])
return {result}
"""
ALL = "rng.integers(len(frame), size=len(frame))"

WRONG = {
    "1": [
        ("against the neighbour's", "return weights[house.index] * (other - house)"),
        ("from zero", "return weights[house.index] * house"),
        ("the mean house", "return weights[house.index] * (house - frame[house.index].mean())"),
        (
            "it drops out",
            """
            shares = weights[house.index] * (house - other)
            return pd.concat([weights[["intercept"]], shares])
            """,
        ),
        ("use what the function is given", "return beta[features] * (neighbour - alice)"),
        ("each is the weight times", 'return fit["standardised"][house.index] * (house - other)'),
    ],
    "2": [
        (
            "without replacement",
            DRAWN.format(rows="rng.permutation(len(frame))", result="np.std(fits, axis=0)"),
        ),
        (
            "draw as many rows as there are",
            DRAWN.format(
                rows="rng.integers(len(frame), size=len(frame) // 10)",
                result="np.std(fits, axis=0)",
            ),
        ),
        (
            "how well the *mean* weight is known",
            DRAWN.format(rows=ALL, result="np.std(fits, axis=0) / np.sqrt(times)"),
        ),
        ("take its root", DRAWN.format(rows=ALL, result="np.var(fits, axis=0)")),
        (
            "the formula again",
            'return tabular.coefficients(frame, target)["standard_error"].to_numpy()',
        ),
        (
            "target together",
            """
            rng, fits = np.random.default_rng(seed), []
            x = np.column_stack([np.ones(len(frame)), frame.drop(columns=target)])
            goal = frame[target].to_numpy()
            for _ in range(times):
                rows = rng.integers(len(frame), size=len(frame))
                fits.append(np.linalg.lstsq(x, goal[rows], rcond=None)[0])
            return np.std(fits, axis=0)
            """,
        ),
    ],
}
