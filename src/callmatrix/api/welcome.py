"""The page behind a one-time link: a person chooses a password, without the console."""

import base64
import hashlib
from typing import Final

_SCRIPT: Final = """
document.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const told = document.querySelector("output");
  const token = new URLSearchParams(location.search).get("token") || "";
  const password = document.querySelector("input").value;
  const answer = await fetch("/api/first-sign-in", {
    method: "POST",
    headers: {"Content-Type": "application/json"},
    body: JSON.stringify({token, password}),
  });
  const body = await answer.json();
  told.textContent = answer.ok
    ? "You are signed in as " + body.name + ". "
    : [body.detail].concat((body.problems || []).map((one) => one.remedy)).join(" ");
  if (!answer.ok) { return; }
  history.replaceState(null, "", "/first-sign-in");
  document.querySelector("button").disabled = true;
  const onward = document.createElement("a");
  onward.href = "/";
  onward.textContent = "Go on";
  told.append(onward);
});
"""
_STYLE: Final = """
:root { color-scheme: light dark; --fg: #1c2430; --bg: #fff; --line: #8a94a3; --act: #0b6bcb; --on: #fff; }
@media (prefers-color-scheme: dark) { :root { --fg: #e4e8ee; --bg: #14181f; --act: #6bb0ff; --on: #10141a; } }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--fg); background: var(--bg); }
main { max-width: 26rem; margin: 0 auto; padding: 12vh 1.25rem 2rem; }
h1 { margin: 0 0 .6rem; font-size: 1.6rem; line-height: 1.25; }
label { display: block; font-weight: 600; margin-top: 1.4rem; }
input, button { display: block; width: 100%; padding: .6rem .7rem; font: inherit; border-radius: 6px; }
input { margin-top: .35rem; border: 1px solid var(--line); color: inherit; background: transparent; }
button { margin-top: 1rem; border: 0; color: var(--on); background: var(--act); font-weight: 600;
  cursor: pointer; }
button:disabled { opacity: .6; cursor: default; }
input:focus-visible, button:focus-visible { outline: 3px solid var(--act); outline-offset: 2px; }
output { display: block; margin-top: 1rem; min-height: 3rem; } a { color: var(--act); }
"""

WELCOME_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    f"<title>CallMatrix</title><style>{_STYLE}</style></head><body><main><h1>Welcome to CallMatrix</h1>"
    "<p>Choose a password of at least 12 characters. This link works once.</p>"
    '<form><label>Password<input type="password" autocomplete="new-password" minlength="12" required'
    " autofocus></label>"
    '<button>Sign in</button><output aria-live="polite"></output></form></main>'
    f"<script>{_SCRIPT}</script></body></html>"
)
_HASH: Final = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
WELCOME_POLICY: Final = (
    f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_HASH}'; connect-src 'self';"
    " frame-ancestors 'none'"
)
"""Only this very script runs, and the token leaves with no referrer."""
