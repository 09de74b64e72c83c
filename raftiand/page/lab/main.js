// The page: tabs, what is shown under which address, and what is said of the connection.
//
// Invariant: one view is shown at a time, and the one before has ended. Without a connection the last picture stays, greyed,
// and the page says what to type.

import { showApp } from "./app.js";
import { showCharts } from "./charts.js";
import { showCluster } from "./cluster.js";
import { lineButton } from "./controls.js";
import { h, replace, set, text } from "./dom.js";
import { showEvents } from "./events.js";
import { showScenarios } from "./scenarios.js";
import { followScheme } from "./scheme.js";
import { connect, on, store } from "./store.js";
import { shell } from "./words.js";

const VIEWS = [
  { hash: "#cluster", name: "Cluster", show: showCluster },
  { hash: "#app", name: "App", show: showApp },
  { hash: "#charts", name: "Charts", show: showCharts },
  { hash: "#scenarios", name: "Scenarios", show: showScenarios },
  { hash: "#events", name: "Events", show: showEvents },
];

const root = document.getElementById("view");
const banner = document.getElementById("banner");
const linkState = document.getElementById("link-state");
const tabs = document.getElementById("tabs");
const links = VIEWS.map(({ hash, name }) => h("a", { href: hash }, name));
let end = null;
let shown = null;

function showView() {
  const view = VIEWS.find(({ hash }) => hash === location.hash.split("/")[0]) ?? VIEWS[0];
  links.forEach((link, place) => set(link, "aria-current", VIEWS[place] === view ? "page" : null));
  if (view === shown) return;
  end?.();
  shown = view;
  end = view.show(root);
  nameIt();
}

/** The window's name: that of the lab, and who leads. */
function nameIt() {
  const lab = store.view?.lab ?? store.hello?.lab ?? "";
  text(document.getElementById("lab-name"), lab);
  const leader = store.view ? (store.view.leader ? `${store.view.leader} leads term ${store.view.term}` : "no leader") : "";
  const title = [leader, lab && `lab ${lab}`, "raftian"].filter(Boolean).join(" · ");
  if (document.title !== title) document.title = title;
}

function sayState() {
  const words = { connecting: "connecting", open: "live", closed: "not connected", refused: "not let in" }[store.state];
  text(linkState, words);
  set(linkState, "class", `link-state is-${store.state}`);
  document.body.classList.toggle("is-old", store.state === "closed" || store.state === "refused");
  set(banner, "hidden", store.state === "open" || store.state === "connecting");
  if (store.state === "closed") {
    const said = store.view ? "The lab does not answer: what you see is how it was last. The page tries again by itself. If the lab was stopped, start it and open the page anew:" : "No lab answers here. Start it, and open the page anew:";
    replace(banner, h("p", {}, said), lineButton(shell("start")), lineButton(shell("open")));
  } else if (store.state === "refused") {
    replace(banner, h("p", {}, `${store.isUsed ? "This address was used already, or is too old. " : ""}This page needs a new address: type this line in a shell, with the lab’s name where it has one (--lab), and open what it prints.`), lineButton(shell("open")));
  }
}

replace(tabs, links);
followScheme(document.getElementById("scheme"));
on("state", sayState);
on("state", nameIt);
on("view", nameIt);
addEventListener("hashchange", showView);
sayState();
connect();
showView();
