"use strict";
const $ = (id) => document.getElementById(id);
const body = $("machines"), feed = $("feed"), panel = $("panel"), find = $("find");
const rows = new Map();
for (const row of body.rows) if (row.dataset.name) rows.set(row.dataset.name, row);

// One row: only the cells that changed are touched, so that focus and selection stay.
function put(name, html) {
  const fresh = document.createElement("tbody");
  fresh.innerHTML = html;
  const next = fresh.rows[0], old = rows.get(name);
  if (!next) { old?.remove(); rows.delete(name); return; }
  if (!old) {
    rows.set(name, next);
    const after = [...body.rows].find((row) => (row.dataset.name ?? "") > name);
    body.insertBefore(next, after ?? null);
    sift(next);
    return;
  }
  if (next.classList.contains("failed") && !old.classList.contains("failed")) {
    $("say").textContent = `${name} failed: ${next.querySelector(".note").textContent}`;
  }
  old.className = next.className;
  old.dataset.ms = next.dataset.ms;
  old.dataset.at = performance.now();
  for (let i = 0; i < next.cells.length; i++) {
    if (old.cells[i].innerHTML !== next.cells[i].innerHTML) old.cells[i].innerHTML = next.cells[i].innerHTML;
  }
}
let waiting = [];
function apply() {
  for (const message of waiting) {
    if (message.all) {
      const named = new Set(message.rows.map(([name]) => name));
      for (const name of [...rows.keys()]) if (!named.has(name)) put(name, "");
      body.querySelector("tr.none")?.remove();
    }
    for (const [name, html] of message.rows) put(name, html);
    if (message.counts) for (const [word, count] of Object.entries(message.counts)) {
      const at = $("count-" + word);
      if (at) at.textContent = count;
    }
    if (message.rows.some(([name]) => name === panel.dataset.name) && panel.open) show(panel.dataset.name, true);
  }
  waiting = [];
}
const source = new EventSource("/feed");
source.onopen = () => { feed.className = "live"; feed.textContent = "live"; };
source.onmessage = (event) => {
  if (!waiting.length) setTimeout(apply, 0);
  waiting.push(JSON.parse(event.data));
};
source.onerror = () => {
  feed.className = "lost";
  feed.textContent = source.readyState === EventSource.CLOSED ? "signed out: load the page again" : "connection lost, trying again";
};

// The clock of machines under way.
setInterval(() => {
  for (const row of rows.values()) {
    if (!row.classList.contains("underway")) continue;
    row.dataset.at ??= performance.now();
    const ms = Number(row.dataset.ms) + performance.now() - Number(row.dataset.at);
    const text = `${String(Math.floor(ms / 60000)).padStart(2, "0")}:${String(Math.floor(ms / 1000) % 60).padStart(2, "0")}`;
    const cell = row.querySelector(".elapsed");
    if (cell.textContent !== text) cell.textContent = text;
  }
}, 1000);

// Filters: links that work without script, too.
for (const link of document.querySelectorAll("nav a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    body.dataset.show = link.dataset.show;
    for (const other of document.querySelectorAll("nav a")) other.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
    history.replaceState(null, "", link.href);
  });
}
const sift = (row) => { row.hidden = find.value !== "" && !row.textContent.toLowerCase().includes(find.value.toLowerCase()); };
find.hidden = false;
find.addEventListener("input", () => { for (const row of rows.values()) sift(row); });

// One machine.
async function show(name, again) {
  const answer = await fetch(`/machine/${encodeURIComponent(name)}?part=1`);
  const html = await answer.text();
  if (again && (!panel.open || panel.dataset.name !== name)) return;
  const open = [...panel.querySelectorAll("details[open]")].map((part) => part.id);
  const top = panel.scrollTop;
  $("detail").innerHTML = html;
  if (again) {
    for (const id of open) $(id)?.setAttribute("open", "");
    panel.scrollTop = top;
    return;
  }
  panel.dataset.name = name;
  if (!panel.open) panel.showModal();
}
body.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-name]");
  if (!row || event.ctrlKey || event.metaKey || String(getSelection())) return;
  event.preventDefault();
  show(row.dataset.name, false);
});
$("close").addEventListener("click", () => panel.close());
panel.addEventListener("click", (event) => { if (event.target === panel) panel.close(); });
panel.addEventListener("close", () => rows.get(panel.dataset.name)?.querySelector("a").focus());

// Keys: j and k or the arrows go from row to row, / finds, Escape leaves.
document.addEventListener("keydown", (event) => {
  if (panel.open || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target === find) {
    if (event.key === "Escape") { find.value = ""; find.dispatchEvent(new Event("input")); find.blur(); }
    return;
  }
  if (event.key === "/") { event.preventDefault(); find.focus(); return; }
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const shown = [...body.rows].filter((row) => row.dataset.name && row.offsetParent !== null);
  const at = shown.findIndex((row) => row.contains(document.activeElement));
  const next = shown[at < 0 ? (step > 0 ? 0 : shown.length - 1) : at + step];
  if (!next) return;
  event.preventDefault();
  next.querySelector("a").focus();
  next.scrollIntoView({ block: "nearest" });
});
