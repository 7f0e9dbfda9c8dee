"""Plausible wrong answers to the exercises of notebook 14, each with a part of its hint."""

MASKS = """
n, c = np.arange(len(photos)), predicted[plain.name]
masks = copies(cam.importance_mask(enlarged, keep), draws)
"""
OWN = "logits[plain.name][n, c][:, None]"
MEANS = "return fall[:, 0].mean(), fall[:, 1:].mean()"

WRONG = {
    "1": [
        (
            "the logits that are left",
            MASKS + f'fall = changed_logits(plain, masks, "blur")[n, :, c]\n{MEANS}',
        ),
        (
            "leave it out of the mean elsewhere",
            MASKS
            + f"""
fall = {OWN} - changed_logits(plain, masks, "blur")[n, :, c]
return fall[:, 0].mean(), fall.mean()
""",
        ),
        (
            "you keep the mask and blur the rest",
            MASKS + f'fall = {OWN} - changed_logits(plain, ~masks, "blur")[n, :, c]\n{MEANS}',
        ),
        (
            "the fall under the mean colour",
            MASKS + f'fall = {OWN} - changed_logits(plain, masks, "mean colour")[n, :, c]\n{MEANS}',
        ),
        (
            "whatever `keep` says",
            MASKS.replace("enlarged, keep", "enlarged")
            + f'fall = {OWN} - changed_logits(plain, masks, "blur")[n, :, c]\n{MEANS}',
        ),
    ],
    "2": [
        (
            "the logit that is left without these maps",
            """
            w = kernel[:, k]
            return (w * A.mean(axis=(0, 1)))[w <= 0].sum() + dense.bias.numpy()[k]
            """,
        ),
        (
            "the maps of negative weight",
            """
            share = kernel[:, k] * A.mean(axis=(0, 1))
            return share[kernel[:, k] < 0].sum()
            """,
        ),
        (
            "not by their sum",
            """
            share = kernel[:, k] * A.sum(axis=(0, 1))
            return share[kernel[:, k] > 0].sum()
            """,
        ),
        (
            "the bias does not go with the maps",
            """
            share = kernel[:, k] * A.mean(axis=(0, 1))
            return share[kernel[:, k] > 0].sum() + dense.bias.numpy()[k]
            """,
        ),
    ],
}
