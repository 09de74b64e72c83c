// Colours and their names, and groups of which one is chosen.

/** The colours that are at hand, row by row. */
const COLOURS = [
  [0x6d001a, "burgundy"], [0xbe0039, "dark red"], [0xff4500, "red"], [0xffa800, "orange"],
  [0xffd635, "yellow"], [0xfff8b8, "pale yellow"], [0x00a368, "dark green"], [0x00cc78, "green"],
  [0x7eed56, "light green"], [0x00756f, "dark teal"], [0x009eaa, "teal"], [0x00ccc0, "light teal"],
  [0x2450a4, "dark blue"], [0x3690ea, "blue"], [0x51e9f4, "light blue"], [0x493ac1, "indigo"],
  [0x6a5cff, "periwinkle"], [0x94b3ff, "lavender"], [0x811e9f, "dark purple"], [0xb44ac0, "purple"],
  [0xe4abff, "pale purple"], [0xde107f, "magenta"], [0xff3881, "pink"], [0xff99aa, "light pink"],
  [0x6d482f, "dark brown"], [0x9c6926, "brown"], [0xffb470, "beige"], [0x000000, "black"],
  [0x515252, "dark grey"], [0x898d90, "grey"], [0xd4d7d9, "light grey"], [0xffffff, "white"],
];

export const hex = (colour) => `#${colour.toString(16).padStart(6, "0")}`;
export const number = (text) => Number.parseInt(text.slice(1), 16);

/** The name of a colour that has one; otherwise of the one at hand that is next to it. */
export function colourName(colour) {
  const parts = (of) => [of >> 16, (of >> 8) & 0xff, of & 0xff];
  const apart = (other) => parts(other).reduce((sum, part, at) => sum + (part - parts(colour)[at]) ** 2, 0);
  const [nearest, name] = COLOURS.reduce((best, next) => (apart(next[0]) < apart(best[0]) ? next : best));
  return nearest === colour ? name : `near ${name}`;
}

/** Fills a fieldset with the colours. */
export function showPalette(fieldset, chosen) {
  const group = document.createElement("div");
  const inputs = COLOURS.map(([colour, name]) => {
    const input = radio("colour", String(colour), () => chosen(colour));
    input.setAttribute("aria-label", `${name}, ${hex(colour)}`);
    const label = document.createElement("label");
    label.title = name;
    label.style.background = hex(colour);
    label.append(input);
    group.append(label);
    return input;
  });
  fieldset.append(group);
  return {
    select: (colour) => inputs.forEach((input) => { input.checked = Number(input.value) === colour; }),
  };
}

/** Fills a fieldset with choices, the first of which is chosen. */
export function choice(fieldset, name, choices, changed) {
  const group = document.createElement("div");
  const inputs = choices.map(([value, text], place) => {
    const input = radio(name, value, changed);
    input.checked = place === 0;
    const label = document.createElement("label");
    label.append(input, text);
    group.append(label);
    return input;
  });
  fieldset.append(group);
  const at = () => inputs.findIndex((input) => input.checked);
  return {
    get value() {
      return inputs[at()].value;
    },
    step: (by) => {
      inputs[Math.min(Math.max(at() + by, 0), inputs.length - 1)].checked = true;
      changed();
    },
  };
}

function radio(name, value, chosen) {
  const input = document.createElement("input");
  Object.assign(input, { type: "radio", name, value });
  input.addEventListener("change", chosen);
  return input;
}
