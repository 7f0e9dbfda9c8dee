"""Plausible wrong answers to the exercises of notebook 04, each with a part of its hint."""

AGAINST = """
value = shapley.interventional_value({f}, row, {rows})
return shapley.shapley_exact(value, row.shape[1])
"""

WRONG = {
    "1": [
        ("against all 100 rows", AGAINST.format(f="f", rows="background")),
        ("made of the medians", AGAINST.format(f="f", rows="background.median().to_frame().T")),
        ("a row of zeros", AGAINST.format(f="f", rows="0 * background.iloc[:1]")),
        (
            "the function that was given",
            AGAINST.format(f="log_odds", rows="background.mean().to_frame().T"),
        ),
        ("should sum to", AGAINST.format(f="f", rows="background.iloc[:1]")),
    ],
    "2": [
        (
            "sums of the single shares",
            """
            single = shapley.shapley_exact(value, len(group))
            return np.array([single[group == g].sum() for g in range(group.max() + 1)])
            """,
        ),
        (
            "is not divided",
            """
            single = shapley.shapley_exact(value, len(group))
            return np.array([single[group == g].mean() for g in range(group.max() + 1)])
            """,
        ),
        (
            "in one order of coming in",
            """
            nobody = value(np.zeros(len(group), bool))
            return np.array([value(group == g) - nobody for g in range(group.max() + 1)])
            """,
        ),
        (
            "in a test game the groups get",
            """
            parts = []
            for g in range(group.max() + 1):
                rest = group != g
                parts.append(value(np.ones(len(group), bool)) - value(rest))
            return np.array(parts) / np.sum(parts)
            """,
        ),
    ],
}
