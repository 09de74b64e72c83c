// The attack game: the board of every node, side by side. A click attacks as that node.
//
// Invariant: a board shows what its node has applied; an attack that is not committed is an outline on the board where it was
// made, and nothing else.

import { makeCommands } from "./app.js";
import { Command } from "./client.js";
import { h, keyed, replace, set, setAll, text } from "./dom.js";
import { nodeOf, on, store } from "./store.js";
import { byNumber, standing } from "./words.js";

const OUTCOMES = {
  hit: ({ player, hp }) => `player ${player} has ${hp} hp`,
  killed: ({ player }) => `player ${player} is dead`,
  already_dead: ({ player }) => `player ${player} was dead already: ignored`,
  no_such_player: ({ player }) => `there is no player ${player}: ignored`,
};

/** Shows it in `root`; what it answers ends it. */
export function showAttack(root) {
  const pending = new Map();
  const commands = makeCommands("Your attacks");
  const boards = h("div", { class: "boards" });
  const note = h("p", { class: "small" }, "A player begins with 100 hp; an attack takes 30. A dashed outline is proposed; the board changes once its node has applied the committed entry.");
  replace(root, h("h1", { class: "unseen" }, "The attack game"), note, boards, commands.element);

  const attack = (node, player) => {
    const place = `${node} ${player}`;
    const command = new Command(node, { attack: player }, `${node} attacks player ${player}`, `attack ${player} --as ${node}`, () => {
      const isPending = command.state === "proposed" || command.state === "unknown";
      if (isPending) pending.set(command, place);
      else pending.delete(command);
      command.answer = command.state === "committed" ? OUTCOMES[command.response?.outcome]?.(command.response) : "";
      commands.update();
      draw();
    });
    commands.add(command);
    command.send();
  };

  const draw = () => {
    const leaders = boardOf(nodeOf(store.view.leader));
    const nodes = [...store.view.nodes].sort((a, b) => byNumber(a.node, b.node));
    keyed(boards, nodes, (node) => node.node, makeBoard, (element, node) => {
      const { kind, word } = standing(node);
      set(element, "class", `panel board is-${kind}${node.is_old ? " is-old" : ""}`);
      const [title, says, players] = element.children;
      setAll(title, { text: `${node.node}, ${word}` });
      text(says, `applied ${node.last_applied} of ${node.last_index}, digest ${node.digest.slice(0, 8) || "–"}`);
      const board = boardOf(node);
      keyed(players, [...board], ([player]) => player, ([player]) => makePlayer(() => attack(node.node, player)), (button, [player, hp]) => {
        const isPending = [...pending.values()].includes(`${node.node} ${player}`);
        const differs = leaders.size > 0 && leaders.get(player) !== hp;
        updatePlayer(button, node.node, player, hp, isPending, differs);
      });
    });
  };
  const stop = on("view", draw);
  draw();
  return stop;
}

const boardOf = (node) => new Map((node?.app_state?.players ?? []).map(({ player, hp }) => [player, hp]));

function makeBoard() {
  return h("section", {}, h("h2", {}), h("p", { class: "small" }), h("div", { class: "players" }));
}

function makePlayer(onclick) {
  return h("button", { type: "button", onclick }, h("span", { class: "number" }), h("span", { class: "hp" }));
}

function updatePlayer(button, node, player, hp, isPending, differs) {
  const strength = hp === 0 ? "dead" : hp <= 10 ? "weak" : hp < 100 ? "hurt" : "whole";
  setAll(button, {
    class: `player is-${strength}${isPending ? " is-proposed" : ""}${differs ? " is-different" : ""}`,
    "aria-label": `Attack player ${player} as ${node}: ${hp ? `${hp} hp` : "dead"}${isPending ? ", an attack is proposed" : ""}${differs ? ", other than the leader has it" : ""}`,
  });
  text(button.children[0], player);
  text(button.children[1], hp ? `${hp} hp` : "dead");
}
