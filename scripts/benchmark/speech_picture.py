"""Where the time of a spoken answer goes, as an SVG: a bar for each number of callers."""

from __future__ import annotations

from typing import Any, Final

STAGES: Final = (
    ("the silence that ends a turn", "#64748b"),
    ("waiting for Whisper beyond it", "#2563eb"),
    ("the brain's first clause", "#9333ea"),
    ("Piper's first sound", "#ea580c"),
    ("the rest: the last soft sounds, sending", "#94a3b8"),
    ("95 of 100 answers have begun", "#0f172a"),
)
SILENCE_S: Final = 0.2
WIDTH, LEFT, TOP, BAR, GAP = 760, 110, 92, 34, 22
LONGEST_S: Final = 1.2


def parts(level: dict[str, Any]) -> list[float]:
    """Seconds of each stage, of the median turn; together what was measured outside."""
    stages = level["stages"]
    eou = stages.get("eou", 0.0)
    found = [min(eou, SILENCE_S), max(0.0, eou - SILENCE_S), stages.get("llm_ttft", 0.0), stages.get("tts_ttfb", 0.0)]
    return [*found, max(0.0, (level["first_frame_p50_s"] or 0.0) - sum(found))]


def draw(levels: list[dict[str, Any]]) -> str:
    height = TOP + len(levels) * (BAR + GAP) + 40
    scale = (WIDTH - LEFT - 30) / LONGEST_S
    look = 'font-family="system-ui, sans-serif" font-size="13" fill="#334155"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {look}>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, (name, colour) in enumerate(STAGES):
        x, y = float(LEFT + number % 2 * 290), 22 + number // 2 * 20
        lines.append(f'<rect x="{x:g}" y="{y - 11}" width="12" height="12" fill="{colour}"/>')
        lines.append(f'<text x="{x + 18:g}" y="{y}">{name}</text>')
    bottom = TOP + len(levels) * (BAR + GAP) - GAP + 8
    for tenths in range(0, 13, 2):
        x = LEFT + tenths / 10 * scale
        lines.append(f'<line x1="{x:.0f}" y1="{TOP - 8}" x2="{x:.0f}" y2="{bottom}" stroke="#e2e8f0"/>')
        lines.append(f'<text x="{x:.0f}" y="{bottom + 18}" text-anchor="middle">{tenths / 10:g} s</text>')
    for row, level in enumerate(levels):
        lines += _bar(level, TOP + row * (BAR + GAP), scale)
    return "\n".join([*lines, "</svg>", ""])


def _bar(level: dict[str, Any], y: int, scale: float) -> list[str]:
    callers = level["callers"]
    name = "1 caller" if callers == 1 else f"{callers} callers"
    lines, x = [f'<text x="{LEFT - 12}" y="{y + 22}" text-anchor="end">{name}</text>'], float(LEFT)
    for seconds, (_, colour) in zip(parts(level), STAGES[:-1], strict=True):
        wide, middle = seconds * scale, x + seconds * scale / 2
        lines.append(f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="{BAR}" fill="{colour}"/>')
        if wide > 26:
            lines.append(
                f'<text x="{middle:.0f}" y="{y + 22}" text-anchor="middle" fill="#fff">{seconds * 1000:.0f}</text>'
            )
        x += wide
    p50, p95 = level["first_frame_p50_s"] or 0.0, level["first_frame_p95_s"] or 0.0
    at = min(LEFT + p95 * scale, WIDTH - 30.0)
    lines.append(
        f'<line x1="{at:.1f}" y1="{y - 4}" x2="{at:.1f}" y2="{y + BAR + 4}" stroke="#0f172a" stroke-width="2"/>'
    )
    beside = max(x, at) + 8
    lines.append(f'<text x="{beside:.1f}" y="{y + 14}">p50 {p50:.2f} s</text>')
    lines.append(f'<text x="{beside:.1f}" y="{y + 30}">p95 {p95:.2f} s</text>')
    return lines
