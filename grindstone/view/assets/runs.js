// The list of runs.

import { html, useState } from "./lib.js";
import { useDocument } from "./data.js";
import { Link, Shown } from "./parts.js";
import { address } from "./place.js";
import { Table } from "./table.js";
import { duration, percent, seconds_between, time } from "./words.js";

const columns = (chosen, choose) => [
  { id: "pair", name: "Pair", value: (run) => chosen.includes(run.run_key),
    cell: (run) => html`<input type="checkbox" checked=${chosen.includes(run.run_key)}
      aria-label=${`Choose ${run.run_key}`} onChange=${() => choose(run.run_key)} />` },
  { id: "run", name: "Run", value: (run) => run.run_key,
    cell: (run) => html`<${Link} to=${["run", run.run_key]}>${run.run_key}<//>` },
  { id: "at", name: "Started (UTC)", value: (run) => run.started_at,
    cell: (run) => time(run.started_at) },
  { id: "kind", name: "Kind", value: (run) => run.kind },
  { id: "agent", name: "Agent", value: (run) => run.agent_id },
  { id: "model", name: "Model", value: (run) => run.model },
  { id: "status", name: "Status", value: (run) => run.status,
    cell: (run) => html`<span class=${`status ${run.status.replace(" ", "-")}`}>${run.status}</span>` },
  { id: "rate", name: "Attempts passed", number: true,
    value: (run) => (run.attempts > run.errors ? run.passed / (run.attempts - run.errors) : null),
    cell: (run) => `${run.passed}/${run.attempts} ${percent(run.passed, run.attempts - run.errors)}` },
  { id: "errors", name: "No score", number: true, value: (run) => run.errors },
  { id: "cost", name: "Dollars", number: true, value: (run) => run.cost_usd,
    cell: (run) => run.cost },
  { id: "seconds", name: "Took", number: true, example: "seconds>60",
    value: (run) => seconds_between(run.started_at, run.ended_at),
    cell: (run) => duration(seconds_between(run.started_at, run.ended_at)) },
];

export function RunsPage() {
  const state = useDocument(["runs"], { runs: ["*"] });
  const [chosen, setChosen] = useState([]);
  const choose = (key) => setChosen(chosen.includes(key) ? chosen.filter((each) => each !== key)
    : [...chosen, key].slice(-2));
  return html`<h1>Runs</h1>
    <${Shown} state=${state}>${(found) => {
      const order = found.runs.map((run) => run.run_key);
      const sides = [...chosen].sort((a, b) => order.indexOf(a) - order.indexOf(b));
      return html`<${Table} columns=${columns(chosen, choose)} rows=${found.runs} first="-at"
        noun="run" label="Runs" picks=${["status:running", "status:paused", "status:failed"]}>
        <button type="button" disabled=${chosen.length !== 2}
          onClick=${() => (location.hash = address(["diff", ...sides]))}>What changed</button><//>`;
    }}<//>`;
}
