// Brings in what has arrived without touching what is being typed. Without it, reload the page.
"use strict";
const live = document.getElementById("live");
if (live && live.dataset.refresh) {
  const atEnd = () => window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 80;
  const merge = (html) => {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    const wanted = [...fresh.content.children];
    const ids = new Set(wanted.map((item) => item.id));
    for (const item of [...live.children]) if (!ids.has(item.id)) item.remove();
    wanted.forEach((item, place) => {
      const here = document.getElementById(item.id);
      if (here && here.outerHTML === item.outerHTML) {
        if (live.children[place] !== here) live.insertBefore(here, live.children[place]);
      } else if (here && !here.contains(document.activeElement)) {
        here.replaceWith(item);
      } else if (!here) {
        live.insertBefore(item, live.children[place] || null);
      }
    });
  };
  const look = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(live.dataset.refresh);
      if (!answer.ok) return;
      const follow = live.matches(".thread") && atEnd();
      merge(await answer.text());
      if (follow) window.scrollTo(0, document.documentElement.scrollHeight);
    } catch {
      // the simulator is restarting; the next look will find it
    }
  };
  if (live.matches(".thread")) window.scrollTo(0, document.documentElement.scrollHeight);
  setInterval(look, 1500);
}
