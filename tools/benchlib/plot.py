"""Bar charts as SVG."""
from xml.sax.saxutils import escape

LABEL_WIDTH = 280
BAR_WIDTH = 420
VALUE_WIDTH = 120
ROW_HEIGHT = 24
TITLE_HEIGHT = 40


def bars(title, unit, pairs):
    """One horizontal bar for each (label, value)."""
    largest = max((value for _, value in pairs), default=0) or 1
    width = LABEL_WIDTH + BAR_WIDTH + VALUE_WIDTH
    height = TITLE_HEIGHT + ROW_HEIGHT * len(pairs) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="24" font-size="15">{escape(title)}</text>',
    ]
    for row, (label, value) in enumerate(pairs):
        top = TITLE_HEIGHT + row * ROW_HEIGHT
        length = BAR_WIDTH * value / largest
        lines += [
            f'<text x="{LABEL_WIDTH - 8}" y="{top + 15}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{LABEL_WIDTH}" y="{top + 3}" width="{length:.1f}" height="16" '
            'fill="#3b6ea5"/>',
            f'<text x="{LABEL_WIDTH + length + 6:.1f}" y="{top + 15}">'
            f'{escape(f"{value:,} {unit}".strip())}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])
