// What the pages do without the server: times of the place, keys, confirmation, pictures that zoom together. All pages
// work without it, but for what changes by itself. Whatever came from outside is shown by textContent alone.
"use strict";
(() => {
  const body = document.body;
  const dialog = (id) => document.getElementById(id);
  const isTyping = (element) => element?.matches?.("input, select, textarea, [contenteditable]");

  // -- times: shown as of the place where they are read, their UTC offset when pointed at
  const pad = (number) => String(number).padStart(2, "0");
  const day = (at) => `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  const clock = (at) => `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  const offset = (at) => {
    const minutes = -at.getTimezoneOffset();
    return `${minutes < 0 ? "-" : "+"}${pad(Math.trunc(Math.abs(minutes) / 60))}:${pad(Math.abs(minutes) % 60)}`;
  };
  const span = (seconds) => {
    const steps = [[86400, "d"], [3600, "h"], [60, "min"]];
    const [size, unit] = steps.find(([size]) => seconds >= size) ?? [1, "s"];
    return `${Math.round(seconds / size)} ${unit}`;
  };
  const showTimes = (root) => {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      const seconds = (Date.now() - at) / 1000;
      const away = (seconds >= 0 ? body.dataset.ago : body.dataset.in).replace("{}", span(Math.abs(seconds)));
      const today = day(at) === day(new Date());
      const text = today ? clock(at) : `${day(at)} ${clock(at)}`;
      if (time.textContent !== text) time.textContent = text;
      time.title = `${day(at)} ${clock(at)} UTC${offset(at)}, ${away}`;
    }
  };

  // -- times that are asked for: typed as of the place, sent as UTC
  for (const field of document.querySelectorAll("[data-utc]")) {
    const at = new Date(field.dataset.utc);
    if (field.dataset.utc && !isNaN(at)) field.value = `${day(at)}T${clock(at)}`;
    field.form.addEventListener("formdata", ({ formData }) => {
      const value = field.value && new Date(field.value);
      if (value && !isNaN(value)) formData.set(field.name, value.toISOString());
    });
  }
  // An address holds only what was asked for.
  for (const form of document.querySelectorAll("form.filters")) {
    form.addEventListener("formdata", ({ formData }) => {
      for (const [name, value] of [...formData]) if (!value) formData.delete(name);
    });
  }

  // -- before something is done
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.elements.csrf) form.elements.csrf.value = body.dataset.csrf; // what is drawn for many carries none
    if (!form.dataset.confirm || form.dataset.confirmed) return;
    event.preventDefault();
    const question = dialog("confirm");
    document.getElementById("confirm-text").textContent = form.dataset.confirm;
    question.returnValue = "no";
    question.showModal();
    question.addEventListener("close", () => {
      if (question.returnValue !== "yes") return;
      form.dataset.confirmed = "yes";
      form.requestSubmit();
    }, { once: true });
  });

  // -- clicks
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button");
    if (button?.dataset.copy !== undefined) {
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        button.textContent = body.dataset.copied;
      } catch {
        getSelection().selectAllChildren(button.previousElementSibling);
      }
    } else if (button?.dataset.help !== undefined) dialog("help").showModal();
  });

  // -- keys
  const rows = () => [...document.querySelectorAll("[data-row]")];
  const step = (by) => {
    const all = rows();
    if (!all.length) return;
    const now = all.findIndex((row) => row.classList.contains("at"));
    const next = all[Math.min(Math.max(now + by, 0), all.length - 1)];
    all[now]?.classList.remove("at");
    next.classList.add("at");
    (next.querySelector(".id, .open") ?? next).focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  };
  const home = document.querySelector(".brand")?.getAttribute("href");
  const places = { o: "", j: "jobs", b: "batches", w: "webhooks", v: "vendor", t: "tenants", a: "audit" };
  let goes = false;
  const keys = {
    "/": () => document.getElementById("q").focus(),
    "?": () => dialog("help").showModal(),
    j: () => step(1),
    k: () => step(-1),
    b: () => blur(!body.classList.contains("blurred")),
    g: () => { goes = true; setTimeout(() => { goes = false; }, 1500); },
  };
  document.addEventListener("keydown", (event) => {
    if (!home || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape" && isTyping(event.target)) event.target.blur();
    if (isTyping(event.target)) return;
    if (goes && event.key in places) {
      event.preventDefault();
      location.href = home + places[event.key];
      return;
    }
    if (event.key in keys) {
      event.preventDefault();
      keys[event.key]();
    }
  });

  // -- pictures
  const blur = (on) => {
    body.classList.toggle("blurred", on);
    try { localStorage.setItem("swapjobs-blurred", on ? "yes" : ""); } catch { /* it lasts as long as the page */ }
  };
  try { if (localStorage.getItem("swapjobs-blurred")) blur(true); } catch { /* as above */ }
  const view = { zoom: 1, x: 0, y: 0 };
  const show = () => {
    const compare = document.querySelector("[data-compare]");
    if (!compare) return;
    compare.classList.toggle("zoomed", view.zoom > 1);
    compare.style.setProperty("--zoom", view.zoom);
    compare.style.setProperty("--x", `${view.x}px`);
    compare.style.setProperty("--y", `${view.y}px`);
  };
  document.addEventListener("input", (event) => {
    if (event.target.dataset?.zoom === undefined) return;
    view.zoom = Number(event.target.value);
    if (view.zoom === 1) view.x = view.y = 0;
    show();
  });
  document.addEventListener("pointerdown", (event) => {
    const picture = event.target.closest?.("[data-compare] img:not(.blank)");
    if (!picture || view.zoom === 1) return;
    event.preventDefault();
    const from = { x: event.clientX - view.x, y: event.clientY - view.y };
    const move = (at) => { view.x = at.clientX - from.x; view.y = at.clientY - from.y; show(); };
    addEventListener("pointermove", move);
    addEventListener("pointerup", () => removeEventListener("pointermove", move), { once: true });
  });

  // -- what changes by itself: lists only while they are looked at, and nobody is about to click or is choosing
  setInterval(() => {
    if (document.hidden || document.querySelector("dialog[open]") || !getSelection().isCollapsed) return;
    for (const part of document.querySelectorAll("[data-refresh]")) window.htmx?.trigger(part, "refresh");
  }, 3000);
  document.addEventListener("signed-out", () => location.reload());
  document.addEventListener("htmx:after:swap", () => { showTimes(document); show(); });

  // Nothing moves from under the pointer: what has changed waits until it has left what it was about to click.
  const isAimed = () => document.querySelector("#live :is(a, button, summary, input):hover") !== null;
  document.addEventListener("htmx:sse:before:message", ({ detail }) => {
    const until = Date.now() + 5000;
    const left = (done) => (isAimed() && Date.now() < until ? setTimeout(left, 100, done) : done());
    if (isAimed()) detail.waitUntil(new Promise(left));
  });

  // -- a connection that is lost is said, and made anew; also one that was refused, which htmx leaves at that
  const isRefused = ({ detail }) => (detail.ctx?.response?.status ?? 200) >= 400;
  for (const name of ["htmx:error", "htmx:response:error", "htmx:sse:error"]) {
    document.addEventListener(name, () => body.classList.add("stale"));
  }
  for (const name of ["htmx:after:swap", "htmx:sse:after:connection"]) {
    document.addEventListener(name, (event) => body.classList.toggle("stale", isRefused(event)));
  }
  document.addEventListener("over", ({ target }) => { target.dataset.over = "yes"; });
  setInterval(() => {
    for (const part of document.querySelectorAll("[hx-sse\\:connect]:not([data-over])")) {
      const isOpen = part._htmx?.sse !== undefined;
      if (!isOpen && !document.hidden) window.htmx?.ajax("GET", part.getAttribute("hx-sse:connect"), { source: part });
    }
  }, 5000);
  setInterval(() => showTimes(document), 30000);
  showTimes(document);
  document.querySelector(".sections [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
})();
