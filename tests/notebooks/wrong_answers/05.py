"""Plausible wrong answers to the exercises of notebook 05, each with a part of its hint."""

NEAR = "near = np.exp(-(distances**2) / (2 * width**2))\n"
HIDE = """
one, other = (
    lime_image(network, images, segments=segments, samples=200, hide=hide, seed=seed)
    for hide in {hides}
)
"""
FITS = "return r, one.r2[0], other.r2[0]"
ALIKE = "r = np.corrcoef(one.heat[0].ravel(), other.heat[0].ravel())[0, 1]\n"

WRONG = {
    "1": [
        ("no neighbour was added", NEAR + "return near.sum()"),
        ("upside down", NEAR + "return (near**2).sum() / near.sum() ** 2"),
        ("is to be squared", NEAR + "return near.sum() / (near**2).sum()"),
        (
            "*twice* the squared width",
            """
            near = np.exp(-(distances**2) / width**2)
            return near.sum() ** 2 / (near**2).sum()
            """,
        ),
    ],
    "2": [
        ("maps are the same", HIDE.format(hides="(None, None)") + ALIKE + FITS),
        ("hides by white", HIDE.format(hides="(1.0, None)") + ALIKE + FITS),
        (
            "for or against",
            HIDE.format(hides="(0.0, None)")
            + """
sizes = [np.abs(found.heat[0]).ravel() for found in (one, other)]
r = np.corrcoef(sizes)[0, 1]
"""
            + FITS,
        ),
        ("first black, then the mean", HIDE.format(hides="(None, 0.0)") + ALIKE + FITS),
        ("three numbers are wanted", HIDE.format(hides="(0.0, None)") + ALIKE + "return r"),
    ],
}
