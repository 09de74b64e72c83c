// The view of the application: what each node makes of the same log. It shows the view that belongs to the lab's application.
//
// Invariant: what was committed and what was only proposed never look alike.

import { showAttack } from "./attack.js";
import { showCanvas } from "./canvas.js";
import { hintList, lineButton } from "./controls.js";
import { h, keyed, replace, set, text } from "./dom.js";
import { showKv } from "./kv.js";
import { on, store } from "./store.js";
import { clock, shell } from "./words.js";

const SHOWN = 30;
const APPS = { attack: showAttack, kv: showKv, canvas: showCanvas };

/** Shows it in `root`; what it answers ends it. */
export function showApp(root) {
  let shown = null;
  let end = null;
  const show = () => {
    const app = store.view?.app ?? null;
    if (app === shown && root.firstChild) return;
    end?.();
    shown = app;
    end = null;
    if (app) end = APPS[app](root);
    else replace(root, h("h1", { class: "unseen" }, "App"), h("p", { class: "panel" }, store.view ? "This lab has no application yet: it was never started." : "Nothing is known of the lab yet."));
  };
  replace(root);
  show();
  const stop = on("view", show);
  return () => (stop(), end?.());
}

/** The list of a person's own commands: proposed, committed, failed, unknown. */
export function makeCommands(title) {
  const commands = [];
  const list = h("ol", { class: "commands", "aria-live": "polite" });
  const none = h("p", { class: "small" }, "Nothing was sent yet.");
  const element = h("section", { class: "panel" }, h("h2", {}, title), none, list);
  const make = (command) => {
    const again = h("button", { type: "button", class: "act", onclick: () => command.send() }, "Send again");
    return h("li", {}, h("time", {}, clock(command.at)), h("span", { class: "state" }), h("span", { class: "title" }, command.title), h("span", { class: "text" }), again, lineButton(shell(command.line)), h("div"));
  };
  const update = () => {
    commands.splice(SHOWN);
    none.hidden = commands.length > 0;
    keyed(list, commands, (command) => (command.key ??= crypto.randomUUID()), make, (item, command) => {
      const [, state, , said, again] = item.children;
      set(item, "class", `command is-${command.state}`);
      text(state, command.state);
      text(said, [command.answer, command.text].filter(Boolean).join(" · "));
      set(again, "hidden", command.state !== "unknown");
      if (command.hints?.length && !item.lastChild.firstChild) item.lastChild.append(hintList(command.hints));
    });
  };
  const add = (command) => (commands.unshift(command), update());
  return { element, add, update };
}
