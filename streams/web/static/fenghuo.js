"use strict";
/* What the pages do beyond links and forms: charts, a live inbox, the word for a chosen risk.
   Without this script everything but the charts works the same. */

(() => {
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  // -- charts: the server tells what to draw, Bokeh draws it ------------------------------------
  const draw = async (place) => {
    const link = new URL(place.dataset.chart, location.href);
    link.searchParams.set("theme", dark.matches ? "dark" : "light");
    link.searchParams.set("narrow", place.clientWidth < 520 ? "1" : "0");
    const answer = await fetch(link, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`${link.pathname}: ${answer.status}`);
    const item = await answer.json();
    place.replaceChildren();
    place.dataset.drawn = "";
    if (!place.id) place.id = `chart-${Math.random().toString(36).slice(2)}`;
    await window.Bokeh.embed.embed_item(item, place.id);
    place.dataset.drawn = "yes";
  };
  const drawAll = async () => {
    if (!window.Bokeh) return;
    for (const place of document.querySelectorAll("[data-chart]")) {
      try { await draw(place); } catch (error) { place.textContent = String(error.message); }
    }
  };

  // -- the inbox renews itself; what is being read stays where it is ---------------------------
  const PERIOD = 20000;
  const anchorOf = (list) => {
    const rows = [...list.querySelectorAll(".row")];
    const row = rows.find((one) => one.getBoundingClientRect().bottom > 0);
    return row && { id: row.id, top: row.getBoundingClientRect().top };
  };
  const renew = async (head, list) => {
    if (document.hidden) return;
    const answer = await fetch(head.dataset.live, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = fresh.getElementById("live");
    if (!next) throw new Error("no list");
    const known = new Map([...list.querySelectorAll(".row")].map((r) => [r.id, r.dataset.version]));
    const anchor = anchorOf(list);
    const focused = document.activeElement?.closest(".row")?.id;
    const same = next.innerHTML === list.innerHTML;
    if (!same) list.replaceChildren(...next.childNodes);
    for (const count of fresh.querySelectorAll("[data-count]")) {
      const here = document.querySelector(`[data-count="${count.dataset.count}"]`);
      if (here) here.textContent = count.textContent;
    }
    for (const row of same ? [] : list.querySelectorAll(".row")) {
      if (known.get(row.id) !== row.dataset.version) row.classList.add("row-fresh");
    }
    const kept = anchor && window.scrollY > 0 && document.getElementById(anchor.id);
    if (kept && !same) window.scrollBy(0, kept.getBoundingClientRect().top - anchor.top);
    if (focused && !same) document.getElementById(focused)?.querySelector(".row-link")?.focus({ preventScroll: true });
    const at = fresh.getElementById("live-at");
    const shown = document.getElementById("live-at");
    if (at && shown) { shown.dateTime = at.dateTime; shown.textContent = at.textContent; }
    document.getElementById("live-note").textContent = "";
  };
  const live = () => {
    const head = document.querySelector("[data-live]");
    const list = document.getElementById("live");
    if (!head || !list) return;
    const again = async () => {
      try { await renew(head, list); } catch {
        document.getElementById("live-note").textContent = ` ${head.dataset.away ?? ""}`;
      }
    };
    setInterval(again, PERIOD);
    document.addEventListener("visibilitychange", again);
    window.fenghuoRenew = again; // for who cannot wait: tests
  };

  // -- one alert: tell when it has changed, and leave what is being written alone ----------------
  const watch = () => {
    const banner = document.getElementById("changed");
    if (!banner) return;
    const text = banner.querySelector("span");
    setInterval(async () => {
      if (document.hidden) return;
      const answer = await fetch(banner.dataset.liveAlert).catch(() => null);
      if (!answer?.ok) return;
      const now = await answer.json();
      if (now.version === Number(banner.dataset.version)) return;
      const byPerson = now.decided_version !== Number(banner.dataset.decided);
      text.textContent = byPerson ? text.dataset.textPerson : text.dataset.textNumbers;
      banner.hidden = false;
    }, PERIOD);
  };

  // -- the risk that follows from likelihood and consequence -------------------------------------
  const risk = () => {
    const said = document.getElementById("matrix-said");
    if (!said) return;
    const tell = () => {
      const chosen = document.querySelector("input[name=risk]:checked");
      said.textContent = chosen ? chosen.getAttribute("aria-label") : said.dataset.empty;
    };
    for (const one of document.querySelectorAll("input[name=risk]")) one.addEventListener("change", tell);
    tell();
  };

  // -- a form is sent once -------------------------------------------------------------------------
  const once = () => {
    document.addEventListener("submit", (event) => {
      if (event.target.method !== "post") return;
      if (event.target.dataset.sent) { event.preventDefault(); return; }
      event.target.dataset.sent = "yes";
    });
    window.addEventListener("pageshow", () => {
      for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
    });
  };

  live();
  watch();
  risk();
  once();
  // Bokeh stands after this script: wait for all of them.
  document.addEventListener("DOMContentLoaded", drawAll);
  dark.addEventListener("change", drawAll);
})();
