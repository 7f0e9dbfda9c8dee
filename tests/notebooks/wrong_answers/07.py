"""Plausible wrong answers to the exercises of notebook 07, each with a part of its hint."""

PUSH = """
step = {step}
return image + step * {along}, step * {total}
"""
RIGHT = {
    "step": "greys / 255",
    "along": "np.sign(gradient)",
    "total": "np.abs(gradient).sum()",
}
TWO_MAPS = """
first, second = (
    gradients.smooth_grad(
        digit_model, four.inputs, four.labels, samples={samples}, noise={noise}, seed={seed}
    )
    for seed in (0, 1)
)
pairs = zip({maps}, strict=True)
return {mean}([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in pairs])
"""
USUAL = {
    "samples": "samples",
    "noise": "0.15",
    "seed": "seed",
    "maps": "first, second",
    "mean": "np.mean",
}

WRONG = {
    "1": [
        ("one grey level is 1/255", PUSH.format(**RIGHT | {"step": "greys"})),
        ("whatever the size", PUSH.format(**RIGHT | {"along": "gradient"})),
        ("against their gradient", PUSH.format(**RIGHT | {"along": "-np.sign(gradient)"})),
        ("as if all pixels became brighter", PUSH.format(**RIGHT | {"total": "gradient.sum()"})),
        ("mean over the pixels", PUSH.format(**RIGHT | {"total": "np.abs(gradient).mean()"})),
    ],
    "2": [
        ("the same seed", TWO_MAPS.format(**USUAL | {"seed": "0"})),
        (
            "absolute values",
            TWO_MAPS.format(**USUAL | {"maps": "np.abs(first), np.abs(second)"}),
        ),
        ("do you hand `samples` on", TWO_MAPS.format(**USUAL | {"samples": "4"})),
        ("noise 0.15", TWO_MAPS.format(**USUAL | {"noise": "0.02"})),
        ("one number is wanted", TWO_MAPS.format(**USUAL | {"mean": "np.array"})),
    ],
    "3": [
        ("in proportion to n", "return n * single"),
        ("distance of the correlation", "return 1 - (1 - single) / n"),
        ("takes its root", "return 1 / (1 + (1 / single - 1) / np.sqrt(n))"),
        ("n-th root", "return single ** (1 / n)"),
    ],
}
