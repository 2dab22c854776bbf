// A text in all that was said, run and printed.

import { html } from "./lib.js";
import { useDocument } from "./data.js";
import { Link, Outcome, Shown } from "./parts.js";
import { address, readPlace, usePlace } from "./place.js";
import { plural } from "./words.js";

export function SearchBox() {
  const { parts, query } = usePlace();
  const run = parts[0] === "run" ? parts[1] : (query.run ?? "");
  const ask = (event) => {
    event.preventDefault();
    const text = new FormData(event.target).get("text").trim();
    const within = readPlace().parts[0] === "search" ? query.run : run;
    if (text) location.hash = address(["search"], { text, run: within });
  };
  return html`<form role="search" onSubmit=${ask}>
    <label>Search steps${run && ` of ${run}`} <input type="search" name="text" minlength="2"
      value=${parts[0] === "search" ? query.text : ""} /></label></form>`;
}

export function SearchPage() {
  const { query } = usePlace();
  const state = useDocument(["search"], { query: { text: query.text ?? "", run: query.run ?? "" } });
  return html`<h1>“${query.text}” in ${query.run || "all runs"}</h1>
    <${Shown} state=${state}>${(found) => html`
      <p role="status">${plural(found.found.length, "step")}${found.more && ", and more"}
        ${" "}<span class="soft">${found.seconds.toFixed(2)} s</span></p>
      <ul class="plain found">${found.found.map((step) => html`<li>
        <${Link} to=${["episode", step.episode_id]} query=${{ step: step.index }}>
          <${Outcome} of=${step.outcome} /> ${step.task_id}, turn ${step.index}<//>
        ${" "}<span class="soft">${step.run_key}</span>
        <pre>${marked(step.excerpt, found.text)}</pre></li>`)}</ul>`}<//>`;
}

function marked(text, wanted) {
  const at = text.toLowerCase().indexOf(wanted.toLowerCase());
  if (at < 0) return text;
  const end = at + wanted.length;
  return html`${text.slice(0, at)}<mark>${text.slice(at, end)}</mark>${text.slice(end)}`;
}
