"""Pictures of what was found: counties over time, and all alerts on one page.

Figures are built without pyplot, so nothing global changes and any thread may draw. Colours are
Okabe and Ito's, which people with a colour-vision deficiency can tell apart; every alert also has a
marker. Chinese names are written only where an installed font has the characters.
"""

from __future__ import annotations

from streams.demo.pictures.canvas import chinese_font
from streams.demo.pictures.counties import draw_counties
from streams.demo.pictures.series import CountySeries
from streams.demo.pictures.timeline import draw_timeline

__all__ = ["CountySeries", "chinese_font", "draw_counties", "draw_timeline"]
