"use strict";
const rows = document.getElementById("machines");
const counts = document.getElementById("counts");
const feed = document.getElementById("feed");
let wanted = false;
async function refresh() {
  if (wanted) return;
  wanted = true;
  await new Promise((done) => setTimeout(done, 100));
  wanted = false;
  try {
    const answer = await fetch("/rows", { headers: { accept: "text/html" } });
    if (!answer.ok) { feed.textContent = "signed out: load the page again"; return; }
    const [summary, ...body] = (await answer.text()).split("\n");
    counts.textContent = summary;
    rows.innerHTML = body.join("\n");
    if (source.readyState === EventSource.OPEN) feed.textContent = "live";
  } catch {
    feed.textContent = "connection lost, trying again";
  }
}
const source = new EventSource("/v1/events");
source.onopen = () => { feed.textContent = "live"; refresh(); };
source.onmessage = refresh;
source.onerror = () => { feed.textContent = "connection lost, trying again"; };
setInterval(refresh, 5000);
