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
  if (answer.ok) { history.replaceState(null, "", "/first-sign-in"); }
  told.textContent = answer.ok
    ? "You are signed in as " + body.name + ". Go on to the console at /, or to /docs."
    : [body.detail].concat((body.problems || []).map((one) => one.remedy)).join(" ");
});
"""
_STYLE: Final = """
:root { color-scheme: light dark; } body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem;
margin: 4rem auto; padding: 0 1rem; } label, input, button, output { display: block; width: 100%;
margin-top: .8rem; font: inherit; } input, button { padding: .5rem; }
"""

WELCOME_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    f"<title>CallMatrix</title><style>{_STYLE}</style></head><body><main><h1>Welcome to CallMatrix</h1>"
    "<p>Choose a password of at least 12 characters. This link works once.</p>"
    '<form><label>Password<input type="password" autocomplete="new-password" minlength="12" required></label>'
    '<button>Sign in</button><output aria-live="polite"></output></form></main>'
    f"<script>{_SCRIPT}</script></body></html>"
)
_HASH: Final = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
WELCOME_POLICY: Final = (
    f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_HASH}'; connect-src 'self';"
    " frame-ancestors 'none'"
)
"""Only this very script runs, and the token leaves with no referrer."""
