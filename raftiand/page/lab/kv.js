// The key-value store: set, get, delete and list through any node, linearizable or stale.
//
// Invariant: an answer says which node gave it and at which index, so that a stale one is seen to be stale. Keys and values are
// texts and stay texts.

import { makeCommands } from "./app.js";
import { Command, read } from "./client.js";
import { lineButton } from "./controls.js";
import { h, keyed, replace, set, text } from "./dom.js";
import { on, store } from "./store.js";
import { byNumber, clock, count, shell, standing } from "./words.js";

const LISTED = 100;

/** A word as a shell takes it. */
const quoted = (word) => (/^[\w./:@%+,=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);

/** Shows it in `root`; what it answers ends it. */
export function showKv(root) {
  const commands = makeCommands("Your writes");
  const answers = h("ol", { class: "commands", "aria-live": "polite" });
  const key = h("input", { type: "text", id: "kv-key", value: "colour", autocomplete: "off", spellcheck: "false" });
  const value = h("input", { type: "text", id: "kv-value", value: "blue", autocomplete: "off", spellcheck: "false" });
  const through = h("select", { id: "kv-node" });
  const stale = h("input", { type: "checkbox", id: "kv-stale" });
  const table = h("tbody");
  const keys = h("tbody");
  const listed = h("p", { class: "small" }, "List the keys to see them here.");

  const write = (op, title, line) => {
    const node = through.value;
    const command = new Command(node, op, title, `${line} --as ${node}`, () => {
      const { outcome, value: now } = command.response ?? {};
      command.answer = command.state === "committed" ? [outcome, now !== undefined && `“${now}”`].filter(Boolean).join(": ") : "";
      commands.update();
    });
    commands.add(command);
    command.send();
  };
  const ask = async (op, line, say) => {
    const [node, consistency] = [through.value, stale.checked ? "stale" : "linearizable"];
    const item = h("li", { class: "command is-proposed" }, h("time", {}, clock(Date.now())), h("span", { class: "state" }, consistency), h("span", { class: "title" }, `${line} through ${node}`), h("span", { class: "text" }, "…"), lineButton(shell(`kv ${line}${stale.checked ? " --stale" : ""} --as ${node}`)));
    answers.prepend(item);
    while (answers.children.length > 30) answers.lastChild.remove();
    try {
      const { node: by, index, response } = await read(node, op, consistency);
      set(item, "class", "command is-committed");
      text(item.children[3], `${say(response)} · answered by ${by} at index ${index}`);
    } catch (error) {
      set(item, "class", "command is-failed");
      text(item.children[3], error.note?.text ?? error.message);
    }
  };
  const found = ({ outcome, value: now }) => (outcome === "found" ? `“${now}”` : outcome);
  const showKeys = ({ keys: some, more }) => {
    replace(keys, some.map(([name, bytes]) => h("tr", {}, h("td", {}, h("button", { type: "button", class: "quiet", onclick: () => (key.value = name) }, name)), h("td", {}, bytes))));
    text(listed, `${count(some.length, "key")}${more ? ", and others after them" : ""}`);
    return count(some.length, "key");
  };
  const button = (label, does) => h("button", { type: "button", class: "act", onclick: does }, label);
  const form = h("section", { class: "panel kv-form" },
    h("p", {}, h("label", { for: "kv-key" }, "Key"), key), h("p", {}, h("label", { for: "kv-value" }, "Value"), value),
    h("p", {}, h("label", { for: "kv-node" }, "Through"), through), h("p", { class: "check" }, stale, h("label", { for: "kv-stale" }, "stale reads: this node’s own state, which may lag")),
    h("p", { class: "row" },
      button("Set", () => write({ set: [key.value, value.value] }, `set ${key.value} to “${value.value}”`, `kv set ${quoted(key.value)} ${quoted(value.value)}`)),
      button("Get", () => ask({ get: key.value }, `get ${quoted(key.value)}`, found)),
      button("Delete", () => write({ del: key.value }, `delete ${key.value}`, `kv del ${quoted(key.value)}`)),
      button("List keys", () => ask({ list: ["", LISTED] }, "list", showKeys))));
  const states = h("section", { class: "panel" }, h("h2", {}, "What each node has"), h("table", {}, h("thead", {}, h("tr", {}, ["node", "role", "applied", "keys", "bytes", "digest"].map((name) => h("th", { scope: "col" }, name)))), table));
  const list = h("section", { class: "panel" }, h("h2", {}, "Keys"), listed, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "key"), h("th", { scope: "col" }, "bytes"))), keys));
  const reads = h("section", { class: "panel" }, h("h2", {}, "Your reads"), answers);
  replace(root, h("h1", { class: "unseen" }, "The key-value store"), h("div", { class: "halves" }, h("div", { class: "left" }, form, states, list), h("div", { class: "right" }, reads, commands.element)));

  const draw = () => {
    const nodes = [...store.view.nodes].sort((a, b) => byNumber(a.node, b.node));
    keyed(through, nodes, (node) => node.node, (node) => h("option", { value: node.node }), (option, node) => text(option, `${node.node}, ${standing(node).word}`));
    keyed(table, nodes, (node) => node.node, () => h("tr", {}, Array.from({ length: 6 }, () => h("td"))), (row, node) => {
      const { keys: number, bytes } = node.app_state ?? {};
      [node.node, standing(node).word, node.last_applied, number ?? "–", bytes ?? "–", node.digest.slice(0, 8)].forEach((cell, place) => text(row.children[place], cell));
    });
  };
  const stop = on("view", draw);
  draw();
  if (store.view.leader) through.value = store.view.leader;
  return stop;
}
