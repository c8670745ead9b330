"use strict";
// Everything from a job is shown by textContent or as the src and href of a URL that is known to be http(s): nothing of it is read as HTML.
{
const [ID, BUSINESS, STATE, CODE, MESSAGE, REASON, ATTEMPTS, CREATED, STARTED, FINISHED, NEXT, SOURCE, TARGET, OUTPUT, TOOL, METADATA, CALLS, WEBHOOK, NAMES, MORE] = Array(20).keys();
const PAGE = 50;
const at = (id) => document.getElementById(id);
const jobs = [];
for (const block of document.querySelectorAll("script.data")) {
  for (const job of JSON.parse(block.textContent)) jobs.push(job);
  block.remove();
}
const withPictures = document.querySelector("main").dataset.pictures === "1";
const texts = new Array(jobs.length); // what the search looks into, made when it is first needed
let found = jobs.map((_, number) => number);
let first = 0;

const make = (name, style, ...content) => {
  const element = document.createElement(name);
  if (style) element.className = style;
  element.append(...content);
  return element;
};
const bare = (url) => url.split(/[?#]/, 1)[0];
const isWeb = (url) => /^https?:\/\/[^\s]+$/i.test(url);
const pad = (number) => String(number).padStart(2, "0");
const clock = (ms) => {
  const time = new Date(ms);
  const date = `${time.getUTCFullYear()}-${pad(time.getUTCMonth() + 1)}-${pad(time.getUTCDate())}`;
  return `${date} ${pad(time.getUTCHours())}:${pad(time.getUTCMinutes())}:${pad(time.getUTCSeconds())}`;
};
const span = (ms) => {
  const seconds = Math.max(ms, 0) / 1000;
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86400).toFixed(1)} d`;
};

const picture = (url, name) => {
  if (!isWeb(url)) return make("span", "box", url ? "not a web address" : "no result");
  const link = make("a", "");
  link.href = url;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  const image = make("img", "");
  Object.assign(image, { loading: "lazy", decoding: "async", width: 92, height: 84, alt: name, referrerPolicy: "no-referrer" });
  image.addEventListener("error", () => image.replaceWith(make("span", "box", `${name}: not there any more`)), { once: true });
  image.src = url;
  link.append(image);
  return link;
};
const pictures = (job) => {
  const [one, two] = job[NAMES] ?? ["source", "target"];
  const hasText = job[MORE]?.some(([kind]) => kind !== "image");
  const urls = [[SOURCE, one], [TARGET, two], [OUTPUT, "result"]].filter(([n, name]) => name && (n !== OUTPUT || job[n] || !hasText));
  const listed = make("ul", "urls", ...urls.filter(([n]) => job[n]).map(([n, name]) => make("li", "", `${name} ${job[n] === "!" ? "(not a web address)" : bare(job[n])}`)));
  for (const [kind, value] of job[MORE] ?? []) {
    if (kind === "image") listed.append(make("li", "", `result ${value === "!" ? "(not a web address)" : bare(value)}`));
  }
  const words = (job[MORE] ?? []).filter(([kind]) => kind !== "image").map(([kind, value]) => make("p", kind === "text" ? "said" : "said mono", value));
  if (!withPictures || !at("pictures").checked) return [listed, ...words];
  const shown = urls.map(([n, name]) => picture(job[n], name));
  for (const [kind, value] of (job[MORE] ?? []).slice(0, 8)) if (kind === "image") shown.push(picture(value, "result"));
  return [make("div", "trio", ...shown), ...words, make("details", "", make("summary", "", "addresses"), listed)];
};
const times = (job) => {
  const list = make("dl", "times");
  const say = (name, text) => list.append(make("dt", "", name), make("dd", "", text));
  say("created", clock(job[CREATED]));
  if (job[FINISHED]) say("finished", clock(job[FINISHED]));
  if (job[STARTED]) say("queued", span(job[STARTED] - job[CREATED]));
  if (job[STARTED] && job[FINISHED]) say("worked", span(job[FINISHED] - job[STARTED]));
  if (job[NEXT]) say("again at", clock(job[NEXT]));
  return list;
};
const state = (job) => {
  const parts = [make("div", "state", make("i", `dot ${job[STATE]}`), job[STATE])];
  if (job[CODE]) parts.push(make("div", "", make("b", "", job[CODE]), ` ${job[MESSAGE]}`));
  if (job[REASON]) parts.push(make("div", "", `waits: ${job[REASON]}`));
  if (job[CALLS]) parts.push(make("div", "dim", `${job[CALLS]} attempt${job[CALLS] > 1 ? "s" : ""}${job[ATTEMPTS] ? `, ${job[ATTEMPTS]} failed` : ""}`));
  if (job[WEBHOOK]) parts.push(make("div", "dim", `webhook ${job[WEBHOOK]}`));
  return parts;
};
const name = (job) => {
  const parts = [make("div", "id", job[BUSINESS]), make("div", "mono", job[ID]), make("div", "dim", job[TOOL])];
  if (job[METADATA]) parts.push(make("div", "mono", job[METADATA]));
  return parts;
};
const row = (job) => {
  const line = make("tr", "");
  line.setAttribute("role", "row");
  for (const content of [pictures(job), name(job), state(job), [times(job)]]) {
    const cell = make("td", "", ...content);
    cell.setAttribute("role", "cell");
    line.append(cell);
  }
  return line;
};

const show = () => {
  const numbers = found.slice(first, first + PAGE);
  at("rows").replaceChildren(...numbers.map((number) => row(jobs[number])));
  const end = first + numbers.length;
  const of = found.length === jobs.length ? "" : ` (of ${jobs.length.toLocaleString("en")})`;
  at("shown").textContent = found.length ? `${(first + 1).toLocaleString("en")} to ${end.toLocaleString("en")} of ${found.length.toLocaleString("en")} jobs${of}` : `no such job${of}`;
  for (const button of document.querySelectorAll("[data-step]")) {
    button.disabled = button.dataset.step === "1" ? end >= found.length : first === 0;
  }
};
const text = (number) => {
  if (texts[number] === undefined) {
    const job = jobs[number];
    texts[number] = [ID, BUSINESS, STATE, CODE, MESSAGE, REASON, TOOL, METADATA].map((n) => job[n]).concat([SOURCE, TARGET, OUTPUT].map((n) => bare(job[n])), (job[MORE] ?? []).map(([, value]) => value)).join("\n").toLowerCase();
  }
  return texts[number];
};
const ORDER = {
  slow: (job) => (job[STARTED] && job[FINISHED] ? job[FINISHED] - job[STARTED] : -1),
  queued: (job) => (job[STARTED] ? job[STARTED] - job[CREATED] : -1),
  tries: (job) => job[ATTEMPTS],
};
const filter = () => {
  const [wanted, inState, code, order] = [at("search").value.trim().toLowerCase(), at("state").value, at("code").value, at("order").value];
  found = [];
  jobs.forEach((job, number) => {
    if ((!inState || job[STATE] === inState) && (!code || job[CODE] === code) && (!wanted || text(number).includes(wanted))) found.push(number);
  });
  if (order) found.sort((a, b) => ORDER[order](jobs[b]) - ORDER[order](jobs[a]) || a - b);
  first = 0;
  show();
};

let typing = 0;
at("search").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(filter, 120); });
document.querySelector(".filters").addEventListener("submit", (event) => event.preventDefault());
for (const id of ["state", "code", "order"]) at(id).addEventListener("change", filter);
if (withPictures) at("pictures").addEventListener("change", (event) => { document.querySelector(".jobs").classList.toggle("plainly", !event.target.checked); show(); });
else document.querySelector(".jobs").classList.add("plainly");
for (const button of document.querySelectorAll("[data-step]")) {
  button.addEventListener("click", () => { first += PAGE * Number(button.dataset.step); show(); at("list").scrollIntoView(); });
}
for (const button of document.querySelectorAll("[data-code]")) {
  button.addEventListener("click", () => { at("code").value = button.dataset.code; filter(); at("list").scrollIntoView(); });
}
filter();
}
