// An answer as a sentence.

const ROOT = "anything"; // what lies above all classes, where they have no group in common

/** 0.934 as "93 %", never as a certainty that nobody has. */
export function percent(share) {
  if (share > 0.99 && share < 1) return "over 99 %";
  if (share < 0.01 && share > 0) return "under 1 %";
  return `${Math.round(share * 100)} %`;
}

/** What is said of an image: a headline, and a sentence or two below it. */
export function inWords(answer, facts) {
  const { label, reason, detail } = answer;
  if (reason === "unreadable") return { headline: "It cannot be read", more: [sentence(detail)] };
  if (reason === "undefined") return { headline: "No answer", more: ["The model's output for it is not a number."] };
  const several = Array.isArray(label);
  const named = several ? listed(label, "and") || "none of the labels" : quoted(label);
  const share = `${named}, ${percent(answer.confidence)}`;
  const damage = reason === "damaged" ? `Only part of the picture can be seen. ${sentence(detail)}` : "";
  const more = [damage, alternatives(answer, several)].filter(Boolean);
  if (label === ROOT && !facts.classes.includes(ROOT)) {
    if (reason === "unfamiliar") return { headline: "Unlike what it was trained on", more };
    return { headline: "It would rather not say", more: ["None of its classes, and no group of them, is likely enough.", ...more] };
  }
  if (reason === "unfamiliar") {
    const forced = `If it has to be one of its classes: ${share}.`;
    return { headline: "Unlike what it was trained on", more: [several ? `Its labels would be ${share}.` : forced, ...more] };
  }
  if (reason === "unsure") return { headline: `Not sure: perhaps ${share}`, more };
  if (!several && !facts.classes.includes(label)) more.unshift("That is a group of its classes: it would not say more.");
  return { headline: `${answer.confidence < 0.5 ? "Most likely" : "Probably"} ${share}`, more };
}

function alternatives({ label, prediction_set: set }, several) {
  const others = set.filter((name) => (several ? !label.includes(name) : name !== label));
  if (!others.length) return "";
  const shown = others.length > 4 ? [...others.slice(0, 4).map(quoted), `${others.length - 4} more`] : others.map(quoted);
  return `Could ${several ? "also " : ""}be ${joined(shown, "or")}.`;
}

/** Names in quotes: “a”, “b” and “c”. */
export function listed(names, word) {
  return joined(names.map(quoted), word);
}

function joined(parts, word) {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} ${word} ${parts.at(-1)}`;
}

function quoted(name) {
  return `“${name}”`;
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
