"""Plausible wrong answers to the exercises of notebook 17, each with a part of its hint."""

WRONG = {
    "1": [
        (
            "drowns the others",
            """
            mean = np.maximum(heat, 0).mean(axis=0).ravel()
            return np.sort(mean)[-round(0.05 * mean.size) :].sum() / mean.sum()
            """,
        ),
        (
            "need not return",
            """
            shares = []
            for one in np.maximum(heat, 0):
                strongest = np.sort(one.ravel())[-round(0.05 * one.size) :]
                shares.append(strongest.sum() / one.sum())
            return np.mean(shares)
            """,
        ),
        (
            "counts like evidence for it",
            """
            size = np.abs(heat).reshape(len(heat), -1)
            mean = (size / size.sum(axis=1, keepdims=True)).mean(axis=0)
            return np.sort(mean)[-round(0.05 * mean.size) :].sum() / mean.sum()
            """,
        ),
        (
            "divide by the largest value",
            """
            positive = np.maximum(heat, 0).reshape(len(heat), -1)
            mean = (positive / positive.max(axis=1, keepdims=True)).mean(axis=0)
            return np.sort(mean)[-round(0.05 * mean.size) :].sum() / mean.sum()
            """,
        ),
        (
            "sort, and count",
            """
            positive = np.maximum(heat, 0).reshape(len(heat), -1)
            mean = (positive / positive.sum(axis=1, keepdims=True)).mean(axis=0)
            return mean[mean >= np.quantile(mean, 0.95)].sum() / mean.sum()
            """,
        ),
        (
            "all maps together give one number",
            """
            positive = np.sort(np.maximum(heat, 0).reshape(len(heat), -1), axis=1)
            strongest = positive[:, -round(0.05 * positive.shape[1]) :]
            return strongest.sum(axis=1) / positive.sum(axis=1)
            """,
        ),
    ],
    "2": [
        (
            "by which the stamp adds least",
            """
            added = (after - before).mean(axis=0) * kernel[:, c]
            kernel[np.argsort(added)[:count], c] = 0
            return kernel
            """,
        ),
        (
            "keep the signs",
            """
            added = (after - before).mean(axis=0) * kernel[:, c]
            kernel[np.argsort(-np.abs(added))[:count], c] = 0
            return kernel
            """,
        ),
        (
            "have the largest weights",
            """
            kernel[np.argsort(-kernel[:, c])[:count], c] = 0
            return kernel
            """,
        ),
        (
            "brightens these maps most",
            """
            change = (after - before).mean(axis=0)
            kernel[np.argsort(-change)[:count], c] = 0
            return kernel
            """,
        ),
        (
            "without the stamp",
            """
            added = after.mean(axis=0) * kernel[:, c]
            kernel[np.argsort(-added)[:count], c] = 0
            return kernel
            """,
        ),
        (
            "the column of class",
            """
            added = (after - before).mean(axis=0) * kernel[:, c]
            kernel[np.argsort(-added)[:count]] = 0
            return kernel
            """,
        ),
        (
            "take none away",
            """
            added = (after - before).mean(axis=0) * kernel[:, c]
            return np.delete(kernel, np.argsort(-added)[:count], axis=0)
            """,
        ),
    ],
}
