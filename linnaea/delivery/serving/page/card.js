// The card of one picture: what was answered, or why not, and what can be done about it.

import { correctionForm } from "./correcting.js";
import { element, shown, thumbnail } from "./showing.js";

/** Fill the card of a picture that waits, was answered or was refused; `does` holds what its buttons do. */
export function fill(picture, facts, does) {
  const { card, file, answer, refused } = picture;
  if (answer) card.replaceChildren(...answered(picture, facts, does));
  else if (refused) card.replaceChildren(thumbnail(file), refusal(picture, does));
  else card.replaceChildren(element("p", { className: "file", textContent: `${file.name}: waiting` }));
}

function answered(picture, facts, does) {
  const { answer, file } = picture;
  const parts = shown(answer, answer.likeliest, facts, file);
  const tools = element("div", { className: "tools" });
  if (facts.explains && answer.likeliest.length) tools.append(looking(picture, parts[0], does));
  if (facts.review && answer.reason !== "unreadable") {
    const wrong = element("div", { className: "wrong" });
    wrong.show = () => wrong.replaceChildren(...(picture.filed ? undoing(picture, wrong, does) : claiming(picture, wrong, facts, does)));
    wrong.show();
    tools.append(wrong);
  }
  parts.at(-1).append(tools);
  return parts;
}

function refusal({ file, refused }, does) {
  const said = element("div", { className: "said refused" });
  said.append(element("h3", { textContent: refused.headline }));
  said.append(...refused.more.map((text) => element("p", { textContent: text })));
  const again = button("Try again", file);
  again.addEventListener("click", does.again);
  said.append(element("p", { className: "file", textContent: file.name }), again);
  return said;
}

/** The button that shows where the model looked, in place of the picture; it asks for the map once. */
function looking(picture, image, does) {
  const toggle = button("Where it looked", picture.file);
  const photo = { src: null, alt: image.alt };
  toggle.setAttribute("aria-pressed", "false");
  toggle.addEventListener("click", async () => {
    if (toggle.hasAttribute("aria-busy")) return;
    const on = toggle.getAttribute("aria-pressed") !== "true";
    if (on && !picture.map) {
      toggle.setAttribute("aria-busy", "true");
      picture.map = await does.look();
      toggle.removeAttribute("aria-busy");
    }
    if (!picture.map) return;
    photo.src ??= URL.createObjectURL(picture.file);
    image.src = on ? picture.map.src : photo.src;
    image.alt = on ? picture.map.alt : photo.alt;
    toggle.setAttribute("aria-pressed", String(on));
  });
  return toggle;
}

function claiming(picture, wrong, facts, does) {
  const claim = button("This is wrong", picture.file);
  claim.addEventListener("click", () => {
    const back = () => {
      wrong.show();
      wrong.querySelector("button").focus();
    };
    const file = async (correction) => {
      picture.filed = await does.file(correction);
      back();
    };
    wrong.replaceChildren(correctionForm(facts, picture.answer, file, back));
    wrong.querySelector("input").focus();
  });
  return [claim];
}

function undoing(picture, wrong, does) {
  const undo = button("Undo", picture.file);
  undo.addEventListener("click", async () => {
    if (!(await does.undo())) return;
    picture.filed = null;
    wrong.show();
    wrong.querySelector("button").focus();
  });
  return [element("span", { textContent: `${picture.filed.said} ` }), undo];
}

/** A button that a screen reader tells apart from those of other pictures. */
function button(text, file) {
  const made = element("button", { type: "button", textContent: text });
  made.setAttribute("aria-label", `${text}: ${file.name}`);
  return made;
}
