// Small parts that several pages have.

import { html } from "./lib.js";
import { holds } from "./data.js";
import { address } from "./place.js";
import { MARKS } from "./words.js";

export const Link = ({ to, query, children, ...rest }) => holds(to)
  ? html`<a href=${address(to, query)} ...${rest}>${children}</a>`
  : html`<span class=${rest.class}>${children}</span>`;

export const Outcome = ({ of }) =>
  html`<span class=${`outcome ${of}`}>${MARKS[of] ?? ""} ${of}</span>`;

export function Shown({ state, children }) {
  if (state.error) return html`<p class="problem" role="alert">${state.error.message}</p>`;
  if (!state.found) return html`<p role="status">Reading…</p>`;
  return children(state.found);
}

export const Trail = ({ children }) => html`<nav class="trail" aria-label="Where this is">
  <${Link} to=${[]}>Runs<//>${children}</nav>`;

export const Fact = ({ name, children }) =>
  html`<div class="fact"><dt>${name}</dt><dd>${children}</dd></div>`;

// git's diff, a line each, as text.
export function Diff({ text }) {
  const kind = (line) =>
    /^(\+\+\+|---|diff |index |new file|deleted file)/.test(line) ? "head"
      : { "+": "added", "-": "removed", "@": "hunk" }[line[0]] ?? "";
  return html`<pre class="diff" tabindex="0">${text.split("\n").map((line) =>
    html`<span class=${kind(line)}>${line + "\n"}</span>`)}</pre>`;
}

export function save(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "application/octet-stream" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
