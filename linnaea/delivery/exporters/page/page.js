// The page: pictures come in, answers come out. The work is done in worker.js.

import { ranked } from "./decisions.js";
import { shown } from "./showing.js";
import { takePictures } from "./taking.js";

const part = (id) => document.getElementById(id);
const NO_ANSWER = ["unreadable", "undefined"];
const answers = new Map();
const places = new Map();
let facts = null;
let next = 0;

part("unserved").remove(); // what a reader sees where scripts do not run
const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
worker.onmessage = ({ data }) => ({ loading, ready, failed, answer })[data.kind](data);
worker.onerror = () => failed({ message: "a script of it does not run in this browser: take a newer one" });

function loading({ loaded, total }) {
  part("progress").hidden = false;
  if (total) part("progress").value = loaded / total;
}

function ready(data) {
  facts = data.facts;
  part("progress").hidden = true;
  part("state").textContent = "Ready. Your pictures stay on this device.";
  part("classes").textContent = facts.classes.join(", ");
  part("count").textContent = `${facts.classes.length} classes`;
  part("about").hidden = false;
  part("said").hidden = !data.said;
  part("said").textContent = data.said ? `${data.said[0].toUpperCase()}${data.said.slice(1)}.` : "";
  document.body.dataset.state = "ready";
}

function failed({ message }) {
  part("progress").hidden = true;
  part("state").textContent = `This page cannot answer: ${message}.`;
  document.body.dataset.state = "failed";
}

function answer({ id, answer: given, probabilities }) {
  answers.set(id, given);
  const likeliest = probabilities && given.reason !== "undefined" ? ranked(probabilities) : [];
  const pairs = likeliest.map((k) => [facts.classes[k], probabilities[k]]);
  places.get(id)?.replaceChildren(...shown(given, pairs, facts, places.get(id).picture));
  const open = answers.size < places.size;
  part("state").textContent = open ? `${answers.size} of ${places.size} looked at.` : summary();
  document.body.dataset.state = open ? "working" : "ready";
}

function add(files) {
  for (const file of files) {
    const id = next++;
    const place = document.createElement("li");
    place.picture = file;
    place.append(`${file.name}: waiting`);
    part("answers").prepend(place);
    places.set(id, place);
    document.body.dataset.state = "working";
    worker.postMessage({ id, name: file.name, file });
  }
  part("tools").hidden = places.size === 0;
}

function summary() {
  const without = [...answers.values()].filter(({ reason }) => NO_ANSWER.includes(reason)).length;
  const answered = `${told(answers.size - without)} answered`;
  return without ? `${answered}, ${without} could not be.` : `${answered}.`;
}

function told(count) {
  return count === 1 ? "1 picture" : `${count} pictures`;
}

function clear() {
  for (const id of [...answers.keys()]) {
    places.get(id).remove();
    places.delete(id);
    answers.delete(id);
  }
  part("tools").hidden = places.size === 0;
  part("state").textContent = "Cleared.";
  part("choose").focus();
}

function save() {
  const lines = [...answers.values()].map((one) => `${JSON.stringify(one)}\n`);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(lines, { type: "application/jsonl" }));
  link.download = "answers.jsonl";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

part("clear").addEventListener("click", clear);
part("save").addEventListener("click", save);
takePictures(add);
