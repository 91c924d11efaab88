// Runs before anything is drawn, so that a page in the dark does not flash white.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("callmatrix-scheme");
  } catch {
    // Storage may be forbidden; then the system decides.
  }
  const dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.mantineColorScheme = dark ? "dark" : "light";
})();
