// Elements, made and changed without markup.
//
// Invariant: text from the lab becomes a text node or an attribute, never markup, so that no name, key or log line can run
// as code. An attribute or a text is only written when it changes, so that an idle page does no work.
//
// Absent: templates, events of its own, and anything that knows what a node is.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. Functions named onX listen, false and null leave an attribute out, `text` is its text. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element, likewise. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else set(element, name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Gives an attribute a value, if it has another one. */
export function set(element, name, value) {
  if (name === "text") {
    text(element, value);
  } else if (value === false || value === null || value === undefined) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else {
    const wanted = value === true ? "" : String(value);
    if (element.getAttribute(name) !== wanted) element.setAttribute(name, wanted);
  }
}

/** Gives several attributes their values. */
export function setAll(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
}

/** Gives an element a text, if it has another one. */
export function text(element, value) {
  const wanted = String(value ?? "");
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** The text of an element and nothing else in it, or these children. */
export function replace(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

/**
 * Keeps one child of `parent` for each item, in order: `make(item)` makes one, `update(child, item)` brings it up to date.
 * Children are known by `key(item)`, so that focus and animation survive a change of the others.
 */
export function keyed(parent, items, key, make, update = () => {}) {
  const known = (parent.keyed ??= new Map());
  const wanted = new Set();
  let before = parent.firstChild;
  for (const item of items) {
    const name = key(item);
    wanted.add(name);
    let child = known.get(name);
    if (!child) {
      child = make(item);
      known.set(name, child);
    }
    update(child, item);
    if (child === before) before = before.nextSibling;
    else parent.insertBefore(child, before);
  }
  for (const [name, child] of known) {
    if (!wanted.has(name)) {
      child.remove();
      known.delete(name);
    }
  }
}
