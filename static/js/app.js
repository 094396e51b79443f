/* What pages do beyond forms and links. Everything here has a way without it. */
"use strict";

const single = () => document.body.dataset.singleKeys !== "off";
const typing = (el) => el.closest("input, textarea, select, [contenteditable]");
const say = (text) => { const live = document.getElementById("live"); if (live) live.textContent = text; };

/* Keys: a control says which key presses it with data-key; rows are anything with data-row. */
const GO = { w: "worklist", i: "inbox", p: "patients", c: "campaigns", m: "measures", a: "audit" };
let going = 0;

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const open = document.querySelector("dialog[open]");
  if (event.key === "Escape") {
    if (open) return;
    if (typing(event.target)) { event.target.blur(); return; }
    const back = document.querySelector("[data-back]");
    if (back) { event.preventDefault(); back.click(); }
    return;
  }
  if (typing(event.target) || open || !single()) return;
  if (performance.now() - going < 1200 && GO[event.key]) {
    const place = document.querySelector(`[data-go="${GO[event.key]}"]`);
    going = 0;
    if (place) { event.preventDefault(); place.click(); }
    return;
  }
  if (event.key === "g") { going = performance.now(); return; }
  if (event.key === "j" || event.key === "k") { event.preventDefault(); move(event.key === "j" ? 1 : -1); return; }
  if (event.key === "?") { event.preventDefault(); document.getElementById("keys")?.showModal(); return; }
  press(event);
});

function move(step) {
  const rows = [...document.querySelectorAll("[data-row]")].filter((r) => r.offsetParent !== null);
  if (!rows.length) return;
  const at = rows.findIndex((r) => r === document.activeElement || r.contains(document.activeElement));
  const next = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

function press(event) {
  const control = [...document.querySelectorAll(`[data-key="${CSS.escape(event.key)}"]`)].find((c) => c.offsetParent !== null);
  if (!control) return;
  event.preventDefault();
  if (control.matches("input, textarea, select")) { control.focus(); control.select?.(); return; }
  if (control.matches("details")) { control.open = true; control.querySelector("input, textarea, select, button")?.focus(); return; }
  control.click();
}

/* A choice that is a whole form sends itself; its button is for pages without scripts. */
document.querySelectorAll("[data-without-script]").forEach((b) => { b.hidden = true; });
document.addEventListener("change", (event) => { if (event.target.matches("[data-submit]")) event.target.form.requestSubmit(); });

document.addEventListener("click", (event) => {
  const closer = event.target.closest("[data-close-dialog]");
  if (closer) closer.closest("dialog").close();
  const opener = event.target.closest("[data-open-dialog]");
  if (opener) { event.preventDefault(); document.getElementById(opener.dataset.openDialog)?.showModal(); }
  document.querySelectorAll("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
});

/* Toasts stay ten seconds, longer while the pointer or the focus is on them. */
function age(toast) {
  const left = Number(toast.dataset.seconds || 10);
  setTimeout(function end() {
    if (toast.matches(":hover, :focus-within")) { setTimeout(end, 2000); return; }
    toast.remove();
  }, left * 1000);
}
document.querySelectorAll(".toast").forEach(age);
new MutationObserver((changes) => {
  changes.forEach((c) => c.addedNodes.forEach((n) => { if (n.classList?.contains("toast")) { age(n); say(n.textContent.trim()); } }));
}).observe(document.getElementById("toasts") || document.body, { childList: true });

/* Countdown of an undo: data-until holds the end as milliseconds since 1970. */
setInterval(() => {
  document.querySelectorAll("[data-until]").forEach((el) => {
    const left = Math.ceil((Number(el.dataset.until) - Date.now()) / 1000);
    const shown = el.querySelector("[data-left]");
    if (shown) shown.textContent = String(Math.max(0, left));
    if (left <= 0) el.hidden = true;
  });
}, 500);

/* Segments of the text being written: the same tables as the server (GSM 03.38). */
const GSM = new Set("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà");
const EXTENDED = new Set("^{}\\[~]|€\f");
function segments(body) {
  const plain = [...body].every((c) => GSM.has(c) || EXTENDED.has(c));
  const units = plain ? [...body].reduce((n, c) => n + (EXTENDED.has(c) ? 2 : 1), 0) : body.length;
  const [alone, part] = plain ? [160, 153] : [70, 67];
  return { units, parts: units <= alone ? 1 : Math.ceil(units / part), plain };
}
document.addEventListener("input", (event) => {
  const shown = document.getElementById(event.target.dataset?.segments || "");
  if (!shown) return;
  const { units, parts, plain } = segments(event.target.value);
  shown.textContent = `${units} characters, ${parts} ${parts === 1 ? "text" : "texts"}${plain ? "" : " (special characters)"}`;
});

/* The poll brings counts; a new urgent reply is told once, and the title shows it. */
let urgentKnown = null;
document.body.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id !== "counts") return;
  const counts = event.target.querySelector("[data-counts]");
  if (!counts) return;
  document.querySelectorAll("[data-count]").forEach((el) => {
    const value = counts.dataset[el.dataset.count] || "";
    if (el.textContent !== value) el.textContent = value;
    el.classList.toggle("urgent", el.dataset.count === "inbox" && Number(counts.dataset.urgent) > 0);
  });
  const urgent = Number(counts.dataset.urgent);
  document.title = document.title.replace(/^\(\d+!\) /, "");
  if (urgent) document.title = `(${urgent}!) ${document.title}`;
  const newest = counts.dataset.newest;
  if (urgentKnown !== null && newest && newest !== urgentKnown) document.getElementById("urgent-alert").textContent = "An urgent reply came in.";
  urgentKnown = newest;
});

/* A session that has ended answers a poll with the sign-in page: go there. */
document.body.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status === 422) { event.detail.shouldSwap = true; event.detail.isError = false; }
});
