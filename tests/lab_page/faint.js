// The texts on the page whose contrast to the ground beneath them is below 4.5 (WCAG 2.2, 1.4.3).

const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });

/** A colour of CSS as [red, green, blue, alpha]. */
function parse(colour) {
  pen.clearRect(0, 0, 1, 1);
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data];
}

const over = (top, below) => [0, 1, 2].map((part) => (top[part] * top[3] + below[part] * (255 - top[3])) / 255).concat(255);

function luminance(colour) {
  const [red, green, blue] = colour.slice(0, 3).map((part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one, other) {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

/** What lies beneath a text: the grounds of the elements around it; in a node of the ring its body. */
function ground(element) {
  const body = !element.classList.contains("badge") && element.closest(".node")?.querySelector(".body");
  if (body) return parse(getComputedStyle(body).fill);
  const layers = [];
  for (let around = element; around; around = around.parentElement) layers.unshift(parse(getComputedStyle(around).backgroundColor));
  return layers.reduce((below, layer) => over(layer, below), [255, 255, 255, 255]);
}

function isSeen(element) {
  return element.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && !element.closest(".unseen, .skip, noscript, script, option, title");
}

const faint = new Set();
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || !isSeen(element)) continue;
  const style = getComputedStyle(element);
  const colour = parse(element.namespaceURI.endsWith("svg") ? style.fill : style.color);
  for (let around = element; around; around = around.parentElement) colour[3] *= getComputedStyle(around).opacity;
  const beneath = ground(element);
  const ratio = contrast(over(colour, beneath), beneath);
  if (ratio < 4.5) faint.add(`${texts.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
}
return [...faint];
