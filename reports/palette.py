"""Okabe and Ito's colours (Color Universal Design, 2008), which colour-blind readers tell apart.

Black is left out, for it is lost on dark pictures, and the yellow is darkened, for it would be on
white paper. Whoever needs more than seven changes the shape or the line with them: `look` does so
for keypoints and landmarks, so that one of them looks the same in every figure.
"""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#B3A800")
MARKERS = ("o", "s", "^", "D")  # matplotlib's: disc, square, triangle, diamond


def look(number: int) -> tuple[str, str]:
    """The colour and the marker of the keypoint or landmark `number`; they come again after 28."""
    shape = MARKERS[number // len(COLOURS) % len(MARKERS)]
    return COLOURS[number % len(COLOURS)], shape
