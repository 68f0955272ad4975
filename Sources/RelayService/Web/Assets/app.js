"use strict";
// Everything that agents tell is text to this page: it is put in by textContent, never as markup.

const $ = (id) => document.getElementById(id);
const LIMIT = 300;
const STALE_AFTER = 40000;

const state = { token: "", source: null, last: 0, paused: false, held: [], missed: 0, span: 3600, seconds: 60, timers: [] };

/** Makes an element with a class and a text. */
function element(name, kind, text) {
  const node = document.createElement(name);
  if (kind) node.className = kind;
  if (text !== undefined) node.textContent = text;
  return node;
}

async function ask(path) {
  const answer = await fetch(path, { credentials: "same-origin" });
  if (answer.status === 401) { showLogin(); throw new Error("no session"); }
  if (!answer.ok) throw new Error("status " + answer.status);
  return answer.json();
}

// Sessions

async function begin() {
  const headers = { "content-type": "application/json" };
  const bearer = $("bearer").value.trim();
  // Shown once, kept nowhere.
  $("bearer").value = "";
  if (bearer) headers.authorization = "Bearer " + bearer;
  const answer = await fetch("/api/session", { method: "POST", credentials: "same-origin", headers, body: "{}" });
  if (!answer.ok) return answer.status;
  enter(await answer.json());
  return 200;
}

async function login() {
  const status = await begin();
  if (status !== 200) showLogin(status);
}

function enter(session) {
  state.token = session.token;
  $("user").textContent = session.user;
  $("logout").hidden = false;
  $("login").hidden = true;
  $("page").hidden = false;
  follow();
  refresh();
  state.timers.push(setInterval(refresh, 10000), setInterval(watch, 1000));
}

function showLogin(status) {
  leave();
  $("login").hidden = false;
  $("page").hidden = true;
  if (status === 429) $("login-text").textContent = "Too many attempts. Try again in a minute.";
}

function leave() {
  if (state.source) state.source.close();
  state.source = null;
  for (const timer of state.timers) clearInterval(timer);
  state.timers = [];
  $("logout").hidden = true;
  $("user").textContent = "";
  setState("", "logged out");
}

async function logout() {
  await fetch("/api/session", {
    method: "DELETE", credentials: "same-origin",
    headers: { "content-type": "application/json", "x-portcullis-token": state.token },
  });
  $("alerts").replaceChildren();
  showLogin();
}

// Live alerts

function setState(kind, text) {
  $("state").className = "pill " + kind;
  $("state").textContent = text;
}

function filters() {
  return Object.fromEntries([...new FormData($("filters"))].map(([key, value]) => [key, value.trim()]).filter((pair) => pair[1]));
}

function follow() {
  if (state.source) state.source.close();
  $("alerts").replaceChildren();
  state.held = [];
  const fields = { agent: "Agent", policy: "PolicyName", workload: "ContainerName", operation: "Operation", action: "Action", resource: "Resource" };
  const query = new URLSearchParams({ recent: "100" });
  for (const [key, value] of Object.entries(filters())) query.append("filter", fields[key] + "=" + value);
  const source = new EventSource("/api/events?" + query);
  state.source = source;
  state.last = Date.now();
  const alive = () => { state.last = Date.now(); setState("live", "live"); $("banner").hidden = true; };
  source.onopen = alive;
  source.onmessage = (event) => { alive(); take(row(JSON.parse(event.data))); };
  source.addEventListener("beat", alive);
  source.addEventListener("gap", (event) => {
    alive();
    const { missed } = JSON.parse(event.data);
    state.missed += missed;
    $("number-missed").textContent = state.missed.toLocaleString();
    take(element("li", "gap", missed.toLocaleString() + (missed === 1 ? " alert was" : " alerts were") + " not shown here: too many at once, or gone before this page came back"));
  });
  source.onerror = () => {
    setState("stale", "reconnecting");
    // A browser does not try again after an answer that is an error.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => { if (state.source === source) resume(); }, 3000);
  };
}

async function resume() {
  try { await ask("/api/session"); follow(); } catch { watch(); }
}

/** Says so when nothing was heard for a while. */
function watch() {
  const age = Date.now() - state.last;
  if (!state.source || age < STALE_AFTER) return;
  setState("stale", "stale");
  $("banner").textContent = "Nothing heard from the relay for " + Math.round(age / 1000) + " seconds: what you see may be old.";
  $("banner").hidden = false;
}

function row(alert) {
  const item = element("li", alert.action === "Block" ? "block" : "audit");
  const time = element("time", "", alert.time.slice(11, 19));
  time.dateTime = alert.time;
  item.append(time, element("span", "action", alert.action + " " + alert.operation));
  const policy = element("span", "policy", alert.policy);
  policy.title = alert.message;
  const where = [alert.agent || alert.host, alert.namespace, alert.workload].filter(Boolean).join("/");
  item.append(policy, element("span", "what", alert.resource || alert.data));
  item.append(element("span", "who", [where, alert.process, "pid " + alert.pid + ", uid " + alert.uid, alert.result].filter(Boolean).join(" · ")));
  return item;
}

function take(item) {
  if (state.paused) {
    state.held.push(item);
    if (state.held.length > LIMIT) state.held.shift();
    $("pause").textContent = "Go on (" + state.held.length + ")";
    return;
  }
  const list = $("alerts");
  list.prepend(item);
  while (list.children.length > LIMIT) list.lastChild.remove();
  $("no-alerts").hidden = true;
}

function pause() {
  state.paused = !state.paused;
  $("pause").setAttribute("aria-pressed", String(state.paused));
  $("pause").textContent = state.paused ? "Go on" : "Pause";
  if (!state.paused) for (const item of state.held.splice(0)) take(item);
}

// Counts, policies, agents

async function refresh() {
  await Promise.allSettled([counts(), coverage(), agents()]);
}

async function counts() {
  const query = new URLSearchParams({ span: state.span, seconds: state.seconds });
  for (const [key, value] of Object.entries(filters())) if (key !== "resource") query.set(key, value);
  const answer = await ask("/api/counts?" + query);
  const sum = (key) => answer.buckets.reduce((total, bucket) => total + bucket[key], 0);
  $("number-alerts").textContent = sum("count").toLocaleString();
  $("number-blocked").textContent = sum("blocked").toLocaleString();
  plot(answer);
}

function shape(name, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

/** Stacked bars, blocked ones below. */
function plot({ from, to, seconds, buckets }) {
  const svg = $("plot");
  const { width, height } = svg.getBoundingClientRect();
  const [left, bottom, top] = [44, 20, 8];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const highest = Math.max(1, ...buckets.map((bucket) => bucket.count));
  const step = 10 ** Math.floor(Math.log10(highest));
  const limit = [1, 2, 5, 10].map((factor) => factor * step).find((value) => value >= highest);
  const x = (time) => left + ((time - from) / (to - from)) * (width - left);
  const y = (count) => top + (1 - count / limit) * (height - bottom - top);
  const nodes = [shape("title", { id: "plot-text" }, `${buckets.reduce((sum, b) => sum + b.count, 0)} alerts, at most ${highest} in ${seconds} seconds`)];
  for (const value of new Set([0, limit / 2, limit])) {
    nodes.push(shape("line", { class: "grid", x1: left, x2: width, y1: y(value), y2: y(value) }));
    if (Number.isInteger(value)) nodes.push(shape("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, value.toLocaleString()));
  }
  const bar = Math.max(1.5, x(from + seconds) - x(from) - 1);
  for (const { begin, count, blocked } of buckets) {
    const start = Math.max(left, x(begin));
    if (count > blocked) nodes.push(shape("rect", { class: "audited", x: start, y: y(count), width: bar, height: y(blocked) - y(count) }));
    if (blocked) nodes.push(shape("rect", { class: "blocked", x: start, y: y(blocked), width: bar, height: y(0) - y(blocked) }));
  }
  const format = to - from > 86400 ? { month: "short", day: "numeric" } : { hour: "2-digit", minute: "2-digit" };
  const marks = width < 500 ? 2 : 4;
  for (let mark = 0; mark <= marks; mark += 1) {
    const time = from + ((to - from) * mark) / marks;
    const anchor = mark === 0 ? "start" : mark === marks ? "end" : "middle";
    nodes.push(shape("text", { x: x(time), y: height - 4, "text-anchor": anchor }, new Date(time * 1000).toLocaleString([], format)));
  }
  svg.replaceChildren(...nodes);
}

async function coverage() {
  const nodes = await ask("/api/policies");
  const names = new Map();
  for (const node of nodes) {
    for (const policy of node.policies) {
      const key = JSON.stringify([policy.kind, policy.namespace, policy.name]);
      if (!names.has(key)) names.set(key, { policy, at: new Map() });
      names.get(key).at.set(node.name, policy);
    }
  }
  const head = element("tr");
  head.append(element("th", "", "Policy"));
  for (const node of nodes) {
    const cell = element("th", "", node.name);
    cell.append(element("span", "sub", node.problem || (node.version && "version " + node.version)));
    head.append(cell);
  }
  const rows = [...names.values()].sort((a, b) => a.policy.name.localeCompare(b.policy.name)).map(({ policy, at }) => {
    const line = element("tr");
    const name = element("th", "", policy.name);
    name.append(element("span", "sub", [policy.kind.replace("KubeArmor", ""), policy.namespace, policy.action].filter(Boolean).join(" · ")));
    line.append(name);
    for (const node of nodes) {
      const own = at.get(node.name);
      line.append(own ? verdict(own) : element("td", "absent", "–"));
    }
    return line;
  });
  if (!rows.length) {
    const line = element("tr");
    line.append(element("td", "quiet", "No policies."));
    rows.push(line);
  }
  $("coverage").tHead.replaceChildren(head);
  $("coverage").tBodies[0].replaceChildren(...rows);
  gaps(nodes);
}

function verdict(policy) {
  const of = policy.enforced + " of " + (policy.known || policy.rules) + " rules";
  if (!policy.selected && !policy.known) return element("td", "absent", "for others");
  if (policy.known && policy.enforced === policy.known && !policy.gaps.length) return element("td", "full", "✓ " + of);
  if (policy.enforced) return element("td", "part", "◐ " + of + (policy.gaps.length ? ", with gaps" : ""));
  return element("td", policy.known ? "none" : "absent", policy.known ? "✗ " + of : policy.rules + " rules");
}

function gaps(nodes) {
  const open = new Set([...document.querySelectorAll("#coverage-gaps details[open]")].map((node) => node.dataset.node));
  $("coverage-gaps").replaceChildren(...nodes.flatMap((node) => {
    const lines = [...node.gaps, ...node.policies.flatMap((policy) => policy.gaps.map((gap) => policy.name + ": " + gap))];
    if (!lines.length) return [];
    const details = element("details");
    details.dataset.node = node.name;
    details.open = open.has(node.name);
    const list = element("ul");
    list.append(...lines.map((line) => element("li", "", line)));
    details.append(element("summary", "", node.name + ": " + lines.length + (lines.length === 1 ? " gap" : " gaps")), list);
    return [details];
  }));
}

async function agents() {
  const all = await ask("/api/agents");
  $("number-agents").textContent = all.filter((agent) => agent.connected).length + " / " + all.length;
  $("agents").replaceChildren(...all.map((agent) => {
    const item = element("li", agent.connected ? "up" : "down");
    item.append(element("strong", "", agent.name));
    item.append(element("span", "sub", agent.address));
    const since = new Date(agent.since * 1000).toLocaleString();
    item.append(element("span", "", (agent.connected ? "connected since " : "not connected since ") + since));
    if (agent.problem) item.append(element("span", "sub", agent.problem));
    const numbers = [agent.received.toLocaleString() + " records"];
    for (const key of ["missed", "repeated", "malformed"]) if (agent[key]) numbers.push(agent[key].toLocaleString() + " " + key);
    item.append(element("span", "sub", numbers.join(", ")));
    return item;
  }));
  $("agent-names").replaceChildren(...all.map((agent) => { const option = element("option"); option.value = agent.name; return option; }));
}

// Wiring

$("filters").addEventListener("submit", (event) => { event.preventDefault(); follow(); counts(); });
$("filters").addEventListener("reset", () => setTimeout(() => { follow(); counts(); }));
$("pause").addEventListener("click", pause);
$("logout").addEventListener("click", logout);
$("again").addEventListener("click", login);
$("spans").addEventListener("click", ({ target }) => {
  if (!target.dataset.span) return;
  [state.span, state.seconds] = [Number(target.dataset.span), Number(target.dataset.seconds)];
  for (const button of $("spans").children) button.setAttribute("aria-pressed", String(button === target));
  counts();
});
addEventListener("resize", () => { if (!$("page").hidden) counts(); });

(async () => {
  const answer = await fetch("/api/session", { credentials: "same-origin" });
  if (answer.ok) return enter(await answer.json());
  login();
})();
