"""The triage page in a real browser: what people do there, and what they must never see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.web import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

__all__ = ["Screen", "Watched"]

#: Texts whose contrast is below WCAG AA: 4.5, or 3 where they are large.
_CONTRAST = """() => {
  const luminance = ([r, g, b]) => {
    const f = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
  };
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const ground = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(at).backgroundColor);
      if (a > 0.99) return [r, g, b];
    }
    return parse(getComputedStyle(document.body).backgroundColor);
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.data.trim() || !e.checkVisibility({ checkVisibilityCSS: true })) continue;
    if (e.closest("svg, noscript, .bk-root, [data-chart], .hidden")) continue;
    const style = getComputedStyle(e);
    const [one, two] = [luminance(parse(style.color)), luminance(ground(e))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) low.push(`${ratio.toFixed(2)} ${e.className}: ${node.data.trim().slice(0, 40)}`);
  }
  return low;
}"""  # noqa: E501 - JavaScript

#: What is to be touched and is lower or narrower than a finger; links within text are let be.
_SMALL_TARGETS = """() => [...document.querySelectorAll(
    "button, .button, summary, .tab, .nav a, .who a, select, textarea, .chip, .choice, .cell, "
    + "input:not([type=hidden]):not([type=radio]):not([type=checkbox])")]
  .filter((e) => e.checkVisibility({ checkVisibilityCSS: true }))
  .map((e) => [e, e.getBoundingClientRect()])
  .filter(([, box]) => box.height < 43.9 || box.width < 36)
  .map(([e, box]) => `${e.tagName}.${e.className} ${box.width}x${box.height}`)"""

_OVERFLOW = """() => document.documentElement.scrollWidth > innerWidth
  ? [...document.querySelectorAll("body *")]
      .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
      .slice(0, 5).map((e) => `${e.tagName}.${e.className}`)
  : []"""

#: Share of a chart's pixels that are painted.
_PAINTED = """(place) => {
  const canvases = [];
  const look = (root) => {
    for (const e of root.querySelectorAll("*")) {
      if (e.tagName === "CANVAS" && e.width && e.height) canvases.push(e);
      if (e.shadowRoot) look(e.shadowRoot);
    }
  };
  look(place);
  let painted = 0, all = 0;
  for (const canvas of canvases) {
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    for (let i = 3; i < data.length; i += 4) { all += 1; painted += data[i] > 0; }
  }
  return all ? painted / all : 0;
}"""


class Watched:
    """Hears what goes wrong in windows."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.complaints: list[str] = []

    def window(self, context: BrowserContext) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", self._said)
        page.on("request", lambda request: self._asked(request.url))
        return page

    def _said(self, message: Any) -> None:
        # A refusal that a test asks for is reported as such by the browser.
        if message.type in {"error", "warning"} and "the server responded with" not in message.text:
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, url: str) -> None:
        if not url.startswith((f"{self._url}/", "data:")):
            self.complaints.append(f"asked {url}")


class Screen:
    """A window on the page."""

    def __init__(self, page: Page, url: str, lang: str) -> None:
        self.page = page
        self.url = url
        self.lang = lang

    def go(self, path: str) -> Screen:
        """Go somewhere, in the window's language."""
        self.page.goto(f"{self.url}{path}{'&' if '?' in path else '?'}lang={self.lang}")
        return self

    def sign_in(self, name: str) -> Screen:
        self.go("/sign-in")
        self.page.fill("[name=name]", name)
        self.page.fill("[name=password]", PASSWORD)
        self.page.click(".gate button[type=submit]")
        self.page.wait_for_load_state()
        return self

    def act(self, verb: str, note: str = "", **choices: str) -> None:
        """Open a form of the alert's page, fill it in and send it."""
        form = self.page.locator(f".act-{verb}")
        form.locator("> summary").click()
        for name, value in choices.items():
            form.locator(f"input[name={name}][value='{value}']").check(force=True)
        if note:
            form.locator("textarea").fill(note)
        form.locator("button[type=submit]").click()
        self.page.wait_for_load_state()

    def charts(self) -> list[float]:
        """Wait until all charts are drawn, and return the share of each that is painted."""
        places = self.page.locator("[data-chart]").all()
        for number in range(len(places)):
            self.page.locator("[data-drawn=yes]").nth(number).wait_for(state="attached")
        self.page.wait_for_timeout(300)
        return [float(place.evaluate(_PAINTED)) for place in places]

    def model(self, name: str) -> bool:
        """Tell whether a part of this name is in any of the charts."""
        found: bool = self.page.evaluate(
            "(name) => Bokeh.documents.some((one) => one.get_model_by_name(name) !== null)", name
        )
        return found

    def text(self, selector: str) -> str:
        return self.page.locator(selector).first.inner_text()

    def rows(self) -> Locator:
        return self.page.locator(".inbox .row")

    def low_contrast(self) -> list[str]:
        found: list[str] = self.page.evaluate(_CONTRAST)
        return found

    def small_targets(self) -> list[str]:
        found: list[str] = self.page.evaluate(_SMALL_TARGETS)
        return found

    def overflow(self) -> list[str]:
        found: list[str] = self.page.evaluate(_OVERFLOW)
        return found
