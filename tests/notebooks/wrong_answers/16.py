"""Plausible wrong answers to the exercises of notebook 16, each with a part of its hint."""

WRONG = {
    "1": [
        (
            "`argsort` goes up",
            """
            highest = np.argsort(A.ravel())[: mask.sum()]
            return mask.ravel()[highest].mean()
            """,
        ),
        (
            "rank by magnitude",
            """
            highest = np.argsort(-np.abs(A).ravel())[: mask.sum()]
            return mask.ravel()[highest].mean()
            """,
        ),
        (
            "share of the *energy*",
            """
            positive = np.maximum(A, 0)
            return positive[mask].sum() / positive.sum()
            """,
        ),
        (
            "this is a number of pixels",
            """
            highest = np.argsort(-A.ravel())[: mask.sum()]
            return mask.ravel()[highest].sum()
            """,
        ),
        (
            "pixels of the whole map",
            """
            highest = np.argsort(-A.ravel())[: mask.sum()]
            return mask.ravel()[highest].sum() / A.size
            """,
        ),
        ("all pixels above zero", "return mask[A > 0].mean()"),
    ],
    "2": [
        (
            "yields one copy",
            """
            left = {}
            for layer, damaged in list(metrics.randomise_weights(model, how=how)):
                maps = heat(damaged, name, six.inputs, target)
                same = metrics.rank_correlation(trained[name], maps, absolute=True)
                left[layer] = np.nan_to_num(same).mean()
            return left
            """,
        ),
        ("numbers of fresh weights", 'return dict(likeness["cascading", name])'),
        (
            "the map of the step before",
            """
            left, last = {}, trained[name]
            for layer, damaged in metrics.randomise_weights(model, how=how):
                maps = heat(damaged, name, six.inputs, target)
                same = metrics.rank_correlation(last, maps, absolute=True)
                left[layer], last = np.nan_to_num(same).mean(), maps
            return left
            """,
        ),
        (
            "each layer alone",
            """
            left = {}
            for layer, damaged in metrics.randomise_weights(model, "independent", how=how):
                maps = heat(damaged, name, six.inputs, target)
                same = metrics.rank_correlation(trained[name], maps, absolute=True)
                left[layer] = np.nan_to_num(same).mean()
            return left
            """,
        ),
    ],
    "3": [
        ("1 is allowed", "little = tampered"),
        (
            "no more than on the untouched plate",
            """
            by = np.random.default_rng(0).choice([-1, 1], x.shape) / 255
            little = np.clip(x + by, 0, 1).astype(np.float32)
            """,
        ),
        ("nothing was changed", "little = x.copy()"),
        ("reads plates from 0 to 1", "little = np.rint(255 * x) + 1"),
    ],
}
