// The ends of all logs, one under the other, an index a column: terms by colour and number, the commit line, ≠ where a log
// differs from the leader's.
//
// Invariant: a column is one index in all rows, so that what differs stands under what it differs from.

import { h, keyed, set, setAll, text } from "./dom.js";
import { store } from "./store.js";
import { byNumber, standing } from "./words.js";

const MOST = 24;
const LEAST = 8;
/** What a cell needs for a term of two digits, and what stands beside the cells. */
const CELL_PX = 26;
const BESIDE_PX = { narrow: 80, wide: 250 };

/** Makes the panel of the view of a source. */
export function makeLogs(source = store) {
  const marks = h("span", { class: "log-cells" });
  const scale = h("div", { class: "log-row log-scale", "aria-hidden": "true" }, h("span"), marks, h("span"));
  const rows = h("div", { class: "log-rows", role: "list" });
  const legend = h("p", { class: "small" }, "A cell is an entry, with its term; filled once the node knows it committed (the commit line is the bar). Red cells (≠) differ from the leader’s log; where nobody leads, from the one that is most up to date.");
  const element = h("section", { class: "panel logs" }, h("h2", {}, "Logs"), h("div", { class: "log-grid" }, scale, rows), legend);
  const update = () => {
    const nodes = [...source.view.nodes].sort((a, b) => byNumber(a.node, b.node));
    const columns = columnsOf(element.clientWidth);
    const last = Math.max(columns, ...nodes.map((node) => node.last_index));
    const indexes = Array.from({ length: columns }, (_, place) => last - columns + 1 + place);
    element.style.setProperty("--columns", columns);
    keyed(marks, indexes, (index) => index - indexes[0], () => h("span", {}), (mark, index) => text(mark, index % 4 === 0 ? index : ""));
    keyed(rows, nodes, (node) => node.node, makeRow, (row, node) => updateRow(row, node, indexes));
  };
  return { element, update };
}

/** How many entries find room. */
function columnsOf(width) {
  if (!width) return MOST;
  const beside = innerWidth <= 620 ? BESIDE_PX.narrow : BESIDE_PX.wide;
  return Math.max(LEAST, Math.min(MOST, Math.floor((width - beside) / CELL_PX)));
}

function makeRow({ node }) {
  return h("div", { class: "log-row", role: "listitem" }, h("span", { class: "log-name", text: node }), h("span", { class: "log-cells", role: "img" }), h("span", { class: "log-facts" }));
}

function updateRow(row, node, indexes) {
  const [, cells, facts] = row.children;
  const { kind } = standing(node);
  set(row, "class", `log-row is-${kind}${node.is_old ? " is-old" : ""}`);
  const behind = indexes[0] - 1 - node.last_index;
  const differs = node.differs_at ? `, differs from index ${node.differs_at} on` : "";
  set(cells, "aria-label", `log of ${node.node}: ends at ${node.last_index}, committed to ${node.commit_index}, term ${node.term}${differs}`);
  keyed(cells, indexes, (index) => index - indexes[0], () => h("span", {}), (cell, index) => {
    const term = node.tail.terms[index - node.tail.from];
    const isCut = index <= node.snapshot_index && index > 0;
    const isDifferent = node.differs_at && index >= node.differs_at && term !== undefined;
    set(cell, "class", cellClass(node, index, term, isCut, isDifferent));
    text(cell, term ?? (isCut ? "·" : ""));
  });
  const applied = node.last_applied < node.commit_index ? `, applied ${node.last_applied}` : "";
  const mark = node.differs_at ? ` · ≠ from ${node.differs_at}` : "";
  setAll(facts, { text: behind > 0 ? `${behind} behind the first column` : `commit ${node.commit_index} / ${node.last_index}${mark || applied}` });
}

function cellClass(node, index, term, isCut, isDifferent) {
  const classes = ["cell"];
  if (term !== undefined) classes.push(`term-${term % 8}`, index <= node.commit_index ? "is-committed" : "is-open");
  else if (isCut) classes.push("is-snapshot");
  if (index === node.commit_index) classes.push("commit-line");
  if (isDifferent) classes.push("is-different");
  return classes.join(" ");
}
