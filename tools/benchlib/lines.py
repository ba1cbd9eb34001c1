"""Line charts as SVG, both axes logarithmic."""
import math
from xml.sax.saxutils import escape

LEFT, TOP, WIDTH, HEIGHT = 70, 44, 520, 320
LEGEND_WIDTH = 300
COLOURS = ("#3b6ea5", "#c0504d", "#5b8c3a", "#7f5aa2", "#d08a1e", "#3d8f8f", "#777777", "#a0436f")


def lines(title, x_label, y_label, series):
    """`series`: (label, [(x, y), ...]) each; every x and y is above 0."""
    points = [point for _, part in series for point in part]
    if not points:
        return '<svg xmlns="http://www.w3.org/2000/svg"/>\n'
    across = Axis([x for x, _ in points], LEFT, LEFT + WIDTH, 2)
    upward = Axis([y for _, y in points], TOP + HEIGHT, TOP, 10)
    width, height = LEFT + WIDTH + LEGEND_WIDTH, TOP + HEIGHT + 56
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        text(10, 22, title, 'font-size="15"'),
        text(LEFT + WIDTH / 2, height - 12, x_label, 'text-anchor="middle"'),
        text(LEFT, TOP - 8, y_label, 'text-anchor="end"'),
    ]
    for tick in across.ticks():
        x = across.place(tick)
        svg += [f'<path d="M{x:.1f} {TOP}V{TOP + HEIGHT}" stroke="#ddd"/>',
                text(x, TOP + HEIGHT + 16, f"{tick:g}", 'text-anchor="middle"')]
    for tick in upward.ticks():
        y = upward.place(tick)
        svg += [f'<path d="M{LEFT} {y:.1f}H{LEFT + WIDTH}" stroke="#ddd"/>',
                text(LEFT - 6, y + 4, f"{tick:,g}", 'text-anchor="end"')]
    for index, (label, part) in enumerate(series):
        colour = COLOURS[index % len(COLOURS)]
        path = "L".join(f"{across.place(x):.1f} {upward.place(y):.1f}" for x, y in sorted(part))
        y = TOP + 12 + 18 * index
        svg += [f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
                f'<path d="M{LEFT + WIDTH + 12} {y - 4}h18" stroke="{colour}" stroke-width="2"/>',
                text(LEFT + WIDTH + 36, y, label, "")]
    return "\n".join([*svg, "</svg>", ""])


def text(x, y, words, attributes):
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(words)}</text>'


class Axis:
    """A logarithmic axis from whole power to whole power of `base`."""

    def __init__(self, values, start, end, base):
        self.base = base
        self.low = math.floor(math.log(min(values), base) + 1e-9)
        self.high = max(math.ceil(math.log(max(values), base) - 1e-9), self.low + 1)
        self.start, self.end = start, end

    def place(self, value):
        share = (math.log(value, self.base) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self):
        return [self.base ** power for power in range(self.low, self.high + 1)]
