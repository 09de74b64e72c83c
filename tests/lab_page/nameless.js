// The controls and pictures on the page that have no name for a screen reader.

const nameOf = (element) => element.getAttribute("aria-label") || element.textContent || [...(element.labels ?? [])].map((label) => label.textContent).join("");
const all = [...document.querySelectorAll("a[href], button, input, select, [tabindex], [role=button], [role=img], svg[role]")];
return all.filter((element) => element.checkVisibility() && element.id !== "view" && !nameOf(element).trim()).map((element) => element.outerHTML.slice(0, 120));
