"""Plausible wrong answers to the exercises of notebook 15, each with a part of its hint."""

WRONG = {
    "1": [
        (
            "the sign is turned round",
            """
            contrast = answers[:, other].astype(np.float64) - answers[:, target]
            return fit(z, contrast)
            """,
        ),
        (
            "whatever the rival does",
            "return fit(z, answers[:, target].astype(np.float64))",
        ),
        (
            "the difference of two probabilities",
            """
            p = softmax(answers.astype(np.float64))
            return fit(z, p[:, target] - p[:, other])
            """,
        ),
        (
            "R² is not linear",
            """
            (first, r2), (second, r2_other) = (
                fit(z, answers[:, k].astype(np.float64)) for k in (target, other)
            )
            return first - second, (r2 + r2_other) / 2
            """,
        ),
        (
            "superpixels, so",
            """
            contrast = answers[:, target].astype(np.float64) - answers[:, other]
            w, r2 = fit(z, contrast)
            return w[cut], r2
            """,
        ),
    ],
    "2": [
        (
            "the logit that is left",
            """
            alone = ask(1 - np.eye(n, dtype=int))
            return alone[:, k]
            """,
        ),
        (
            "what the class needs must get a positive number",
            """
            alone = ask(1 - np.eye(n, dtype=int))
            return alone[:, k] - logits[0, k]
            """,
        ),
        (
            "hide one and show all others",
            """
            alone = ask(np.eye(n, dtype=int))
            return logits[0, k] - alone[:, k]
            """,
        ),
        (
            "the fall of the probability",
            """
            alone = ask(1 - np.eye(n, dtype=int))
            return probability[k] - softmax(alone)[:, k]
            """,
        ),
    ],
}
