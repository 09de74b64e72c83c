// A menu of actions at a place on the page, with the shell line of each.
//
// Invariant: there is at most one; it closes by Escape, by a choice, or when the focus leaves it, and the focus then returns to
// where it was.

import { h } from "./dom.js";
import { run } from "./actions.js";
import { shell } from "./words.js";

let closeOpen = null;

/** Opens a menu at a place in the window. */
export function openMenu(title, actions, x, y) {
  closeOpen?.();
  const before = document.activeElement;
  const items = actions.map((action) =>
    h("button", { type: "button", role: "menuitem", tabindex: -1, "data-action": action.id, onclick: () => (close(), run(action)) }, h("span", { class: "menu-label" }, action.label), h("code", {}, shell(action.line))),
  );
  const menu = h("div", { class: "menu", role: "menu", "aria-label": title, onkeydown: keys, onfocusout: left }, h("p", { class: "menu-title" }, title), items);
  document.body.append(menu);
  const { width, height } = menu.getBoundingClientRect();
  menu.style.left = `${Math.max(8, Math.min(x, innerWidth - width - 8)) + scrollX}px`;
  menu.style.top = `${Math.max(8, Math.min(y, innerHeight - height - 8)) + scrollY}px`;
  closeOpen = close;
  items[0]?.focus();

  function close() {
    if (closeOpen !== close) return;
    closeOpen = null;
    const hadFocus = menu.contains(document.activeElement);
    menu.remove();
    if (hadFocus) before?.focus({ preventScroll: true });
  }

  function left({ relatedTarget }) {
    if (!menu.contains(relatedTarget)) close();
  }

  function keys(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === "Escape" || event.key === "Tab") {
      close();
    } else if (step) {
      const now = items.indexOf(document.activeElement);
      const next = Number.isFinite(step) ? (now + step + items.length) % items.length : step < 0 ? 0 : items.length - 1;
      items[next].focus();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}

addEventListener("pointerdown", ({ target }) => closeOpen && !target.closest?.(".menu") && closeOpen());
