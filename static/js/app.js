/* What pages do beyond links and forms. Everything here has a way without it. */
(() => {
  "use strict";

  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const one = (selector, inside = document) => inside.querySelector(selector);
  const shown = (element) => element.checkVisibility({ visibilityProperty: true });
  const typing = (element) =>
    Boolean(element.closest("textarea, select, [contenteditable], input:not([type=checkbox], [type=radio])"));

  /* --- Keys: a control says which key presses it with data-key; rows are anything with data-row -------------- */
  const GO = { w: "worklist", i: "inbox", p: "patients", c: "campaigns", m: "measures", a: "audit" };
  let going = 0; // until when a "g" waits for its second key

  function move(step) {
    const rows = all("[data-row]").filter(shown);
    if (!rows.length) return true;
    let at = rows.findIndex((row) => row === document.activeElement || row.contains(document.activeElement));
    if (at < 0) at = rows.findIndex((row) => row.getAttribute("aria-current") === "true");
    const next = rows[at < 0 ? 0 : Math.min(Math.max(at + step, 0), rows.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
    return true;
  }

  function press(key) {
    const control = all(`[data-key="${CSS.escape(key)}"]`).find(shown);
    if (!control) return false;
    if (control.matches("details")) {
      control.open = true;
      one("input:not([type=hidden]), textarea, select, button", control)?.focus();
    } else if (control.matches("input, textarea, select")) {
      control.focus();
      control.select?.();
    } else {
      control.click();
      const menu = control.closest("details.menu[open]"); // the key leads into what it opened
      if (menu) one(".menu-body :is(button, input:not([type=hidden]), select)", menu)?.focus();
    }
    return true;
  }

  function pick() {
    const row = document.activeElement.closest("tr") ?? one('tr:has([data-row][aria-current="true"])');
    const box = row && one("[data-pick]", row);
    box?.click();
    return Boolean(box);
  }

  function digit(key) {
    const choice = all(`[data-digit="${key}"]`).find(shown);
    if (!choice) return false;
    choice.checked = true;
    choice.focus();
    choice.dispatchEvent(new Event("change", { bubbles: true }));
    return true;
  }

  function escape(event) {
    if (one("dialog[open]")) return false;
    const menu = one("details.menu[open]");
    if (menu) {
      menu.open = false;
      one("summary", menu).focus();
      return true;
    }
    if (typing(event.target)) {
      event.target.blur();
      return true;
    }
    const back = all('[data-back], [data-key="Escape"]').find(shown);
    back?.click();
    return Boolean(back);
  }

  function single(key) {
    if (performance.now() < going && GO[key]) {
      going = 0;
      one(`[data-go="${GO[key]}"]`)?.click();
      return true;
    }
    if (key === "g") {
      going = performance.now() + 1500;
      return true;
    }
    if (key === "j" || key === "k") return move(key === "j" ? 1 : -1);
    if (key === "x") return pick();
    if (key === "?") {
      one("#keys")?.showModal();
      return true;
    }
    if (/^[1-9]$/.test(key)) return digit(key);
    return press(key);
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape") {
      if (escape(event)) event.preventDefault();
      return;
    }
    if (document.body.dataset.singleKeys === "off" || typing(event.target) || one("dialog[open]")) return;
    if (event.key.length === 1 && single(event.key)) event.preventDefault();
  });

  /* --- Menus and dialogs; a choice that is a whole form sends itself ------------------------------------------ */
  document.addEventListener("click", (event) => {
    for (const menu of all("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
    event.target.closest("[data-close-dialog]")?.closest("dialog").close();
    const opener = event.target.closest("[data-open-dialog]");
    if (!opener) return;
    event.preventDefault();
    opener.closest("details.menu")?.removeAttribute("open");
    document.getElementById(opener.dataset.openDialog)?.showModal();
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  });

  /* --- Undo: a form with data-undo counts its seconds down; a toast leaves, unless somebody is at it ----------- */
  const busy = (toast) => toast && (toast.matches(":hover") || toast.contains(document.activeElement));

  function leave(toast) {
    toast.classList.add("leaving");
    setTimeout(() => toast.remove(), 150);
  }

  function countDown(form) {
    if (form.dataset.ends) return;
    const ends = Date.now() + Number(form.dataset.undo) * 1000;
    form.dataset.ends = String(ends);
    const toast = form.closest(".toast");
    const label = one("[data-undo-left]", form);
    const tick = () => {
      if (!form.isConnected) return;
      const left = Math.ceil((ends - Date.now()) / 1000);
      if (label) label.textContent = left > 0 ? `(${left})` : "";
      if (left > 0 || busy(toast)) setTimeout(tick, 250);
      else if (toast) leave(toast);
      else form.hidden = true;
    };
    tick();
  }

  function age(toast) {
    if (toast.dataset.ages || one("[data-undo]", toast)) return;
    toast.dataset.ages = "yes";
    const end = () => (busy(toast) ? setTimeout(end, 1000) : leave(toast));
    setTimeout(end, Number(toast.dataset.seconds || 10) * 1000);
  }

  function settle() {
    all("[data-without-script]").forEach((element) => (element.hidden = true));
    all("form[data-undo]").forEach(countDown);
    all(".toast").forEach(age);
  }

  /* --- Segments of the text being written: the same tables as the server (GSM 03.38) --------------------------- */
  const GSM = new Set("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà");
  const EXTENDED = new Set("^{}\\[~]|€\f");

  function segments(body) {
    const plain = [...body].every((c) => GSM.has(c) || EXTENDED.has(c));
    const units = plain ? [...body].reduce((n, c) => n + (EXTENDED.has(c) ? 2 : 1), 0) : body.length;
    const [alone, part] = plain ? [160, 153] : [70, 67];
    return { units, parts: units <= alone ? 1 : Math.ceil(units / part), plain };
  }

  document.addEventListener("input", (event) => {
    const size = document.getElementById(event.target.dataset?.segments || "");
    if (!size) return;
    const { units, parts, plain } = segments(event.target.value);
    size.textContent = `${units} characters, ${parts} ${parts === 1 ? "text" : "texts"}${plain ? "" : " (special characters)"}`;
  });

  /* --- The poll: counts, one banner for a new urgent reply, the title; never moves what one looks at ------------ */
  const SEEN = "engage.urgent";
  const seen = () => sessionStorage.getItem(SEEN) ?? "";

  function waited(seconds) {
    if (seconds < 2) return "came in just now";
    if (seconds < 120) return `came in ${seconds} s ago`;
    if (seconds < 7200) return `has waited ${Math.round(seconds / 60)} min`;
    return `has waited ${Math.round(seconds / 3600)} h`;
  }

  function banner(counts) {
    const box = one("[data-urgent-banner]");
    if (!box) return;
    const newest = counts.newest ?? "";
    // Whoever has the reply in front of them need not be told.
    const here = counts.href && (location.pathname === counts.href || one(`.panel a[href="${counts.href}"]`));
    if (here) sessionStorage.setItem(SEEN, newest);
    if (!Number(counts.urgent) || newest === seen()) box.hidden = true;
    else if (box.hidden || box.dataset.newest !== newest) {
      box.dataset.newest = newest;
      one("[data-urgent-text]", box).textContent = `An urgent reply ${waited(Number(counts.age))}:`;
      one("[data-urgent-link]", box).href = counts.href;
      box.hidden = false; // role="alert": told once, when its text changes
    }
  }

  function fresh(counts) {
    for (const link of all("[data-fresh]")) {
      const n = Number(counts[link.dataset.fresh] || 0);
      const text = n ? `${n > 99 ? "99+" : n} new — show` : "";
      if (link.textContent !== text) link.textContent = text;
      link.hidden = !n;
    }
  }

  function polled() {
    const counts = one("#counts [data-counts]")?.dataset;
    if (!counts) return;
    for (const badge of all("[data-count]")) {
      const value = counts[badge.dataset.count] || "";
      if (badge.textContent !== value) badge.textContent = value;
      badge.classList.toggle("urgent", badge.dataset.count === "inbox" && Number(counts.urgent) > 0);
    }
    banner(counts);
    fresh(counts);
    const down = one("[data-sender]");
    if (down && down.textContent !== counts.sending) down.textContent = counts.sending;
    const unread = one("[data-sorting-trouble]");
    if (unread) {
      const text = one("[data-sorting-text]", unread);
      if (text.textContent !== (counts.sorting ?? "")) text.textContent = counts.sorting ?? "";
      unread.hidden = !counts.sorting;
    }
    const title = (Number(counts.urgent) ? `(▲${counts.urgent}) ` : "") + document.title.replace(/^\(▲\d+\+?\) /, "");
    if (document.title !== title) document.title = title;
  }

  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-urgent-close], [data-urgent-link]")) return;
    const box = one("[data-urgent-banner]");
    sessionStorage.setItem(SEEN, box.dataset.newest);
    box.hidden = true;
  });

  /* --- After htmx has changed a piece of the page --------------------------------------------------------------- */
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "counts") polled();
  });

  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "counts") return;
    settle();
    const panel = one("[data-panel-for]");
    for (const row of all("a[data-row][id]")) {
      if (panel?.dataset.panelFor === row.id) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
    one("[data-focus]", event.target)?.focus();
  });

  /* --- A conversation opens at the gravest reply that waits, or its newest message; its row has been read ----- */
  function opened() {
    const pane = one(".inbox-pane"), head = pane && one(".conversation-head", pane);
    if (head) pane.style.scrollPaddingTop = `${head.offsetHeight + 48}px`; // it covers what is behind it, and a banner may come
    one(".inbox-pane #latest")?.closest("li").scrollIntoView({ block: "nearest" });
    const read = one('.inbox-row.unread a[aria-current="true"]')?.closest("li");
    read?.classList.remove("unread");
    if (read) one(".unread-word", read)?.remove();
  }

  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "conversation") opened();
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    // The row that is about to leave hands the focus to its neighbour.
    const row = document.getElementById(event.detail.xhr.getResponseHeader("Row-Gone") ?? "");
    if (!row) return;
    const rows = all("[data-row]").filter(shown);
    const at = rows.findIndex((link) => row.contains(link));
    const next = rows.slice(at + 1).find((link) => !row.contains(link)) ?? rows[at - 1] ?? one("#main");
    setTimeout(() => next.focus(), 0);
  });

  settle();
  opened();
})();
