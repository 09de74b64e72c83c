// Light or dark: as the system has it, until a person says otherwise.
//
// Invariant: a change is told by the event `scheme`, for what is painted and not styled.

const KEY = "raftian.scheme";
const dark = matchMedia("(prefers-color-scheme: dark)");

const isDark = () => (document.documentElement.dataset.scheme ?? (dark.matches ? "dark" : "light")) === "dark";

/** Puts the kept choice in force, and has a button change it. */
export function followScheme(button) {
  const kept = localStorage.getItem(KEY);
  if (kept === "dark" || kept === "light") document.documentElement.dataset.scheme = kept;
  const say = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
    dispatchEvent(new Event("scheme"));
  };
  button.addEventListener("click", () => {
    const wanted = isDark() ? "light" : "dark";
    document.documentElement.dataset.scheme = wanted;
    localStorage.setItem(KEY, wanted);
    say();
  });
  dark.addEventListener("change", say);
  say();
}
