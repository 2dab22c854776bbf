// Orders to a run that goes on, and those it was given.

import { html, useState } from "./lib.js";
import { offline, send } from "./data.js";
import { moment } from "./words.js";

const LIMITS = [
  ["max_workers", "Attempts at once", { min: 1, max: 64, step: 1 }],
  ["max_cost_usd", "Dollars at most", { min: 0, step: "any" }],
  ["max_tokens_total", "Tokens at most", { min: 0, step: 1 }],
];

export function Steer({ found }) {
  const { run, orders } = found;
  const [problem, setProblem] = useState("");
  const [sure, setSure] = useState(false);
  const goesOn = run.status === "running" || run.status === "paused";
  const give = async (order) => {
    setSure(false);
    setProblem(await send(["run", run.run_key, "orders"], order).then(() => "", (no) => no.message));
  };
  const limit = (event) => {
    event.preventDefault();
    const given = [...new FormData(event.target)].filter(([, value]) => value !== "");
    if (given.length > 0) give(Object.fromEntries(given.map(([name, value]) => [name, Number(value)])));
    event.target.reset();
  };
  return html`${!offline && goesOn && html`<section aria-label="Steer the run">
    <div class="tools">
      <button type="button" onClick=${() => give({ paused: run.status !== "paused" })}>
        ${run.status === "paused" ? "Go on" : "Pause"}</button>
      <button type="button" onClick=${() => give({ retry_errors: true })}>Try errors again</button>
      ${sure ? html`<button type="button" onClick=${() => give({ cancel: true })}>Yes, call it off</button>
          <button type="button" onClick=${() => setSure(false)}>No</button>`
        : html`<button type="button" onClick=${() => setSure(true)}>Call off</button>`}
    </div>
    <form class="tools" onSubmit=${limit}>${LIMITS.map(([name, label, rest]) => html`<label>${label}
      ${" "}<input type="number" name=${name} class="short" ...${rest} /></label>`)}
      <button>Change</button></form>
    ${problem && html`<p class="problem" role="alert">${problem}</p>`}</section>`}
  ${orders.length > 0 && html`<h2>Orders</h2><ul class="plain">${orders.map((order) => html`<li>
    ${moment(order.at)} ${order.by} <span class="soft">(${order.via})</span>: ${order.told}</li>`)}</ul>`}`;
}
