// The page of a server: pictures go there, answers come back.

import { Refused, asked, keepKey, keyKept } from "./asking.js";
import { fill } from "./card.js";
import { element } from "./showing.js";
import { tableOf } from "./table.js";
import { takePictures } from "./taking.js";
import { inWords, listed } from "./words.js";

const part = (id) => document.getElementById(id);
const AT_ONCE = 2; // requests that are open at a time: the server takes together what waits there
const DOUBT = ["refused", "unreadable", "undefined", "unfamiliar", "unsure", "damaged", "ok"];
let told = null; // of the server: its models, its limits, whether answers can be corrected
let pictures = [];
let open = 0;

const factsOf = (model) => told.models.find(({ name }) => name === model);
const say = (text) => (part("state").textContent = text);
const state = (name) => (document.body.dataset.state = name);

async function start() {
  try {
    told = await asked("page/facts");
  } catch (refused) {
    part("key-form").hidden = refused.status !== 401;
    if (refused.status === 401) return askForKey();
    say([`${refused.headline}.`, ...refused.more].join(" "));
    return state("failed");
  }
  part("model").replaceChildren(...told.models.map(({ name }) => element("option", { textContent: name })));
  part("models").hidden = told.models.length < 2;
  part("choose").accept = told.formats.join(",");
  part("kept").textContent = told.keeps ? "It keeps them." : "";
  part("forget").hidden = !keyKept();
  for (const id of ["input", "about"]) part(id).hidden = false;
  part("key-form").hidden = true;
  describe();
  say("Ready.");
  state("ready");
}

/** Learn what a model knows that was put in the place of another. */
async function askAnew() {
  told = await asked("page/facts");
  describe();
}

function askForKey() {
  say(keyKept() ? "The server does not take this API key. Enter another." : "The server asks for an API key.");
  keepKey("");
  part("key").value = "";
  part("forget").hidden = true;
  part("key").focus();
  state("locked");
}

function describe() {
  const { classes, said } = factsOf(part("model").value);
  part("count").textContent = classes.length === 1 ? "1 class" : `${classes.length} classes`;
  part("classes").textContent = classes.join(", ");
  part("said").hidden = !said;
  part("said").textContent = said ? `${said[0].toUpperCase()}${said.slice(1)}.` : "";
}

function add(files) {
  if (!told) return;
  for (const file of files) {
    const picture = { file, card: element("li"), model: part("model").value, answer: null, refused: null };
    pictures.push(picture);
    show(picture);
    part("answers").append(picture.card);
  }
  part("found").hidden = false;
  work();
}

function show(picture) {
  fill(picture, { ...factsOf(picture.model), review: told.review }, {
    again: () => again(picture),
    look: () => look(picture),
    file: (correction) => file(picture, correction),
    undo: () => undo(picture),
  });
}

/** Ask about pictures that wait, AT_ONCE of them at a time. */
function work() {
  part("answers").classList.toggle("grid", pictures.length > 1);
  part("ordering").hidden = pictures.length < 2;
  const waiting = pictures.filter((one) => !one.answer && !one.refused && !one.asked);
  for (const picture of waiting.slice(0, AT_ONCE - open)) ask(picture);
  if (open) {
    state("working");
    say(`${pictures.filter((one) => one.answer || one.refused).length} of ${pictures.length} looked at.`);
  } else {
    if (pictures.length) sort();
    say(summary());
    state("ready");
  }
}

async function ask(picture) {
  open += 1;
  picture.asked = true;
  try {
    picture.answer = await answerTo(picture);
    if (picture.answer.version !== factsOf(picture.model).version) await askAnew();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    picture.refused = error;
    if (error.status === 401) part("key-form").hidden = false;
  } finally {
    open -= 1;
    picture.asked = false;
  }
  show(picture);
  work();
}

async function answerTo({ file, model }, explain = "") {
  if (file.size > told.limits.bytes) {
    const most = `${(told.limits.bytes / 1e6).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;
    const own = `${(file.size / 1e6).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;
    const mend = "Save a smaller copy of the picture, and choose that.";
    throw new Refused(413, "Too large for this server", [`It has ${own}; the server takes up to ${most}.`, mend]);
  }
  const query = new URLSearchParams({ model, ...(explain && { explain }) });
  const options = { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } };
  const { answers, ...common } = await asked(`predict?${query}`, options, say);
  const [answer] = answers;
  return { ...common, ...answer, id: file.name, likeliest: (answer.top ?? []).map((one) => [one.label, one.probability]) };
}

function again(picture) {
  picture.refused = null;
  show(picture);
  part("state").focus();
  work();
}

/** A picture of where the model looked, or null; what stands against it is said. */
async function look(picture) {
  say("Looking again, to draw where it looked.");
  try {
    const { explanation: map, label } = await answerTo(picture, factsOf(picture.model).explains);
    say("Drawn.");
    const named = Array.isArray(label) ? listed(label, "and") : listed([label], "");
    return { src: `data:image/png;base64,${map}`, alt: `Where it looked for ${named}: the brighter, the more` };
  } catch (refused) {
    say([`${refused.headline}.`, ...refused.more].join(" "));
    return null;
  }
}

async function file({ file: image, model, answer }, { labels, none, isNew }) {
  const form = new FormData();
  form.append("image", image);
  const fields = { model, request: answer.request, place: answer.place ?? 0, none, new: isNew };
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  for (const label of labels) form.append("label", label);
  const { sha256 } = await asked("corrections", { method: "POST", body: form }, say);
  const named = labels.length ? `as ${listed(labels, "and")}` : "as none of its classes";
  const said = `Filed for review ${named}.`;
  say(said);
  return { sha256, labels, none, said };
}

async function undo({ answer, filed }) {
  try {
    await asked(`corrections/${filed.sha256}?${new URLSearchParams({ request: answer.request })}`, { method: "DELETE" }, say);
    say("Undone: it is no longer filed.");
    return true;
  } catch (refused) {
    say([`${refused.headline}.`, ...refused.more].join(" "));
    return false;
  }
}

/** Bring the cards into order; what has the focus keeps it. */
function sort() {
  const byDoubt = part("order").value === "doubt";
  const sorted = byDoubt ? [...pictures].sort((one, other) => doubt(one) - doubt(other)) : pictures;
  const held = document.activeElement;
  const cards = sorted.map(({ card }) => card);
  if (cards.some((card, place) => part("answers").children[place] !== card)) part("answers").append(...cards);
  held?.focus({ preventScroll: true });
}

/** The lower, the more doubtful: why there is no sure answer, then how confident it is. */
function doubt({ answer, refused }) {
  return DOUBT.indexOf(refused ? "refused" : answer.reason) + (answer?.confidence ?? 0) / 2;
}

function summary() {
  if (!pictures.length) return "Ready.";
  if (pictures.length === 1) return inShort(pictures[0]);
  const counts = { ok: "answered", damaged: "damaged", unsure: "unsure", unfamiliar: "unlike what it was trained on" };
  const reasons = pictures.map(({ answer, refused }) => (refused ? "refused" : answer.reason));
  const parts = Object.entries(counts).map(([reason, words]) => [reasons.filter((one) => one === reason).length, words]);
  parts.push([reasons.filter((one) => !(one in counts)).length, "without an answer"]);
  const said = parts.filter(([count]) => count).map(([count, words]) => `${count} ${words}`);
  return `${pictures.length} pictures: ${said.join(", ")}.`;
}

function inShort({ file: { name }, answer, refused, model }) {
  const { headline, more } = refused ?? inWords(answer, factsOf(model));
  return `${name}: ${[`${headline}.`, ...more].join(" ")}`;
}

function save() {
  const correction = ({ filed }) => (filed ? (filed.none ? "none of the classes" : one(filed.labels)) : null);
  const one = (labels) => (labels.length === 1 ? labels[0] : labels);
  const rows = pictures.map((picture) =>
    picture.refused
      ? { id: picture.file.name, reason: "refused", detail: [picture.refused.headline, ...picture.refused.more].join(". ") }
      : { ...picture.answer, id: picture.file.name, correction: correction(picture) },
  );
  const link = element("a", { download: "answers.csv" });
  link.href = URL.createObjectURL(new Blob([tableOf(rows)], { type: "text/csv" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function clear() {
  pictures = [];
  part("answers").replaceChildren();
  part("found").hidden = true;
  say("Cleared.");
  part("choose").focus();
}

part("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  keepKey(part("key").value.trim());
  if (!told) return start();
  part("key-form").hidden = true;
  part("forget").hidden = false;
  for (const picture of pictures.filter(({ refused }) => refused?.status === 401)) again(picture);
});
part("forget").addEventListener("click", () => {
  keepKey("");
  location.reload();
});
part("model").addEventListener("change", describe);
part("order").addEventListener("change", sort);
part("save").addEventListener("click", save);
part("clear").addEventListener("click", clear);
takePictures(add);
start();
