// One answer as elements of a page. Names are put in as text, never as markup.

import { inWords, percent } from "./words.js";

const BARS = 5;

/** The elements of an answer: the picture, what is said, bars of the likeliest classes, and the figures behind it.
 * `likeliest` are pairs of a class and its probability, the likeliest first; empty where there is no answer. */
export function shown(answer, likeliest, facts, file) {
  const { headline, more } = inWords(answer, facts);
  const said = element("div", { className: `said ${answer.reason}` });
  said.append(element("h3", { textContent: headline }), ...more.map((text) => element("p", { textContent: text })));
  said.append(element("p", { className: "file", textContent: answer.id }));
  if (likeliest.length) said.append(bars(likeliest.slice(0, BARS)), figures(answer, facts));
  return answer.reason === "unreadable" ? [said] : [thumbnail(file), said];
}

/** A picture as the browser shows it; one that it cannot show takes no room. */
export function thumbnail(file) {
  const image = element("img", { alt: "" }); // its name stands beside it
  image.src = URL.createObjectURL(file);
  image.onload = () => URL.revokeObjectURL(image.src);
  image.onerror = () => (image.hidden = true);
  return image;
}

function bars(likeliest) {
  const table = element("table", { className: "bars" });
  table.append(element("caption", { textContent: "Likeliest classes" }));
  for (const [label, probability] of likeliest) {
    const row = table.insertRow();
    const name = element("th", { scope: "row", textContent: label });
    const meter = element("progress", { max: 1, value: probability });
    meter.setAttribute("aria-hidden", "true"); // the number says the same
    row.append(name);
    row.insertCell().append(meter);
    row.insertCell().textContent = percent(probability);
  }
  return table;
}

function figures(answer, { policy }) {
  const details = element("details");
  const list = element("dl");
  const add = (term, value) => list.append(element("dt", { textContent: term }), element("dd", { textContent: value }));
  add("Confidence", `${answer.confidence.toFixed(4)}; unsure below ${policy.confidence_threshold.toFixed(4)}`);
  add("Prediction set", answer.prediction_set.join(", ") || "empty");
  if (answer.ood_score !== null) {
    const limit = policy.ood_threshold == null ? "" : `; unfamiliar above ${policy.ood_threshold.toFixed(3)}`;
    add("OOD score", `${answer.ood_score.toFixed(3)}${limit}`);
  }
  if (answer.total_uncertainty !== undefined) {
    const parts = [answer.total_uncertainty, answer.aleatoric_uncertainty, answer.epistemic_uncertainty];
    add("Uncertainty", `${parts.map((value) => value.toFixed(3)).join(", ")} nats: total, of the data, of the model`);
  }
  details.append(element("summary", { textContent: "Figures" }), list);
  return details;
}

/** A new element with these properties. */
export function element(name, properties = {}) {
  return Object.assign(document.createElement(name), properties);
}
