"""Numbers as people read them: sizes, counts, durations, bars. Pure."""

from __future__ import annotations

FULL, EMPTY = "▇", "▁"


def human_bytes(size: int) -> str:
    """Write a size: ``2.5 GB``, in powers of ten as disks and hubs count."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit in {"B", "kB"} else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def compact(count: int) -> str:
    """Write a count in little room: ``812``, ``2.1k``, ``131k``."""
    if count < 1000:
        return str(count)
    thousands = count / 1000
    return f"{thousands:.1f}k" if thousands < 9.95 else f"{thousands:.0f}k"


def bar(done: float, total: float, width: int = 6) -> str:
    """Draw a share of a whole; anything above nothing shows at least one full cell."""
    if total <= 0:
        return EMPTY * width
    share = min(max(done / total, 0.0), 1.0)
    cells = round(share * width)
    if share > 0:
        cells = max(cells, 1)
    return FULL * cells + EMPTY * (width - cells)


def duration(seconds: float) -> str:
    """Write a duration: ``0.4 s``, ``12 s``, ``3 min``, ``1 h 05``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d}"


def time_left(done: float, total: float, elapsed: float) -> str:
    """Say how long the rest takes at the rate so far; empty while that is a guess."""
    if done <= 0 or total <= done or elapsed < 0.5:
        return ""
    return f"{duration(elapsed * (total - done) / done)} left"


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: ``1 note``, ``1,912 notes``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def milliseconds(seconds: float) -> str:
    """Write a short time: ``0.4 ms``, ``14 ms``, and from a second on ``1.2 s``."""
    if seconds >= 0.9995:
        return duration(seconds)
    return f"{1000 * seconds:.0f} ms" if seconds >= 0.00995 else f"{1000 * seconds:.1f} ms"
