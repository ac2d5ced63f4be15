// "This is wrong": a form in which the right label of a picture is chosen, or a new one is typed.

import { element } from "./showing.js";

const AT_ONCE = 100; // classes that are listed before something is looked for
const FEW = 12; // so many need no field to look for one
let forms = 0;

/** A form over the classes; `file` is given { labels, none, isNew } and may throw, `cancel` closes it. */
export function correctionForm({ classes, task }, answer, file, cancel) {
  const several = task === "multilabel";
  const chosen = new Set(several ? answer.label : []);
  const id = `correction-${forms++}`;
  const form = element("form", { className: "correction" });
  const list = element("div", { className: "choices" });
  const said = element("p", { className: "warning" });
  said.setAttribute("role", "alert");
  const none = choice(several, id, several ? "Another one" : "None of these");
  const name = element("input", { id: `${id}-name`, type: "text", maxLength: 1000, autocomplete: "off" });
  const named = element("p", { className: "name", hidden: true });
  named.append(element("label", { htmlFor: name.id, textContent: several ? "Its name" : "Its name, if you know it" }), name);
  none.box.addEventListener("change", () => {
    named.hidden = !none.box.checked;
    if (!several) chosen.clear();
  });
  const offered = (text) => {
    const shown = matching(classes, text, chosen).map((label) => offer(several, id, label, chosen, none.box, named));
    list.replaceChildren(...shown, ...rest(classes, shown.length, text));
  };
  offered("");
  const legend = element("legend", { textContent: several ? "What is in the picture?" : "What is it really?" });
  const group = element("fieldset");
  group.append(legend, ...(classes.length > FEW ? [search(id, offered)] : []), list, none.row, named);
  const buttons = element("p", { className: "tools" });
  const send = element("button", { type: "submit", textContent: "File for review" });
  const close = element("button", { type: "button", textContent: "Cancel" });
  buttons.append(send, close);
  form.append(group, said, buttons);
  close.addEventListener("click", cancel);
  form.addEventListener("keydown", (event) => event.key === "Escape" && cancel());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = { labels: [...chosen], none: none.box.checked, name: name.value.trim() };
    said.textContent = wrongWith(given, classes, several);
    if (said.textContent) return;
    send.disabled = true;
    try {
      await file(filed(given, several));
    } catch (error) {
      said.textContent = [`${error.headline ?? error.message}.`, ...(error.more ?? [])].join(" ");
    } finally {
      send.disabled = false;
    }
  });
  return form;
}

/** What the server is told: `none` of the classes, or labels, of which one `isNew`. */
function filed({ labels, none, name }, several) {
  if (!none) return { labels, none: false, isNew: false };
  return { labels: [...(several ? labels : []), ...(name ? [name] : [])], none: !name, isNew: Boolean(name) };
}

function wrongWith({ labels, none, name }, classes, several) {
  if (none && classes.includes(name)) return `“${name}” is one of its classes: choose it in the list.`;
  if (several) return none && !name ? "Type the name of the other one, or take its mark away." : "";
  return none || labels.length ? "" : "Choose a class, or “None of these”.";
}

/** The classes that hold a text, those that are chosen first, at most AT_ONCE. */
function matching(classes, text, chosen) {
  const looked = text.trim().toLocaleLowerCase();
  const found = classes.filter((label) => chosen.has(label) || label.toLocaleLowerCase().includes(looked));
  return [...found].sort((one, other) => chosen.has(other) - chosen.has(one)).slice(0, AT_ONCE);
}

function rest(classes, count, text) {
  if (count >= Math.min(AT_ONCE, classes.length)) {
    const more = classes.length - count;
    return more ? [element("p", { className: "file", textContent: `Type to find others of ${classes.length} classes.` })] : [];
  }
  const told = count ? "" : `None of its classes holds “${text}”.`;
  return told ? [element("p", { className: "file", textContent: told })] : [];
}

function search(id, offered) {
  const row = element("p", { className: "name" });
  const field = element("input", { id: `${id}-search`, type: "search", autocomplete: "off" });
  field.addEventListener("input", () => offered(field.value));
  row.append(element("label", { htmlFor: field.id, textContent: "Find a class" }), field);
  return row;
}

function offer(several, id, label, chosen, none, named) {
  const { row, box } = choice(several, id, label);
  box.checked = chosen.has(label);
  box.addEventListener("change", () => {
    if (!several) {
      chosen.clear();
      named.hidden = !none.checked;
    }
    if (box.checked) chosen.add(label);
    else chosen.delete(label);
  });
  return row;
}

function choice(several, group, text) {
  const row = element("label", { className: "choice" });
  const box = element("input", { type: several ? "checkbox" : "radio", name: group });
  row.append(box, ` ${text}`);
  return { row, box };
}
