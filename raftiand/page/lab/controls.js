// Buttons for actions: each with the shell line that does the same, which a click copies.
//
// Invariant: every control is a button with a name, so that keyboard and screen reader have it; a shell line is never hidden
// behind a pointer.
//
// Absent: what the actions are (actions.js).

import { h, keyed, replace, set, text } from "./dom.js";
import { ofHint, run } from "./actions.js";
import { openMenu } from "./menu.js";
import { shell } from "./words.js";

/** A shell line that a click copies. */
export function lineButton(line) {
  const button = h("button", {
    type: "button",
    class: "line",
    title: "Copy this line",
    "aria-label": `Copy: ${line}`,
    onclick: () => copy(button, line),
  }, line);
  return button;
}

async function copy(button, line) {
  const isCopied = await navigator.clipboard.writeText(line).then(() => true, () => false);
  if (!isCopied) {
    getSelection().selectAllChildren(button);
    return;
  }
  button.classList.add("copied");
  setTimeout(() => button.classList.remove("copied"), 1_200);
}

/** A row of an action: its button and its line. What takes something away for good `asks` before. */
function row(action) {
  const line = shell(action.line);
  const press = ({ target }) => {
    const { left, bottom } = target.getBoundingClientRect();
    if (action.asks) openMenu(action.asks, [action], left, bottom);
    else run(action);
  };
  const button = action.method && h("button", { type: "button", class: "act", "data-action": action.id, onclick: press }, action.label);
  return h("li", { class: "action" }, button || null, lineButton(line));
}

/** A list of actions, kept up to date without losing the focus. */
export function actionList() {
  const list = h("ul", { class: "actions" });
  const update = (actions) => keyed(list, actions, (action) => `${action.id} ${action.label} ${shell(action.line)}`, row);
  return { element: list, update };
}

/** What hints stand for, as buttons and lines; those of a note or an error. */
export function hintList(hints) {
  return h("ul", { class: "actions hints" }, hints.map(ofHint).map(row));
}

/** A note: its sentence and its hints. It is only made anew when it changes. */
export function noteBox(className) {
  const sentence = h("p", { class: "sentence" });
  const hints = h("div");
  const element = h("div", { class: className }, sentence, hints);
  let shown = "";
  const update = (said, offered = []) => {
    text(sentence, said);
    const wanted = JSON.stringify(offered) + shell("");
    if (wanted === shown) return;
    shown = wanted;
    replace(hints, offered.length ? hintList(offered) : null);
    set(hints, "hidden", !offered.length);
  };
  return { element, update };
}
