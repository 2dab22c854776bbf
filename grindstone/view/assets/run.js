// One run with its attempts.

import { html, useState } from "./lib.js";
import { useDocument } from "./data.js";
import { RunDownloads } from "./downloads.js";
import { Fact, Link, Outcome, Shown, Trail } from "./parts.js";
import { address } from "./place.js";
import { RunInPrefect } from "./prefect.js";
import { Steer } from "./steer.js";
import { Table } from "./table.js";
import { count, duration, fixed, percent, seconds_between, standing, tests, time }
  from "./words.js";

function columns(chosen, choose) {
  const box = (attempt) => html`<input type="checkbox" checked=${chosen.includes(attempt.episode_id)}
    aria-label=${`Choose ${attempt.task_id} ${standing(attempt)}`}
    onChange=${() => choose(attempt.episode_id)} />`;
  return [
    { id: "pair", name: "Pair", value: (a) => chosen.includes(a.episode_id), cell: box },
    { id: "task", name: "Task", value: (a) => a.task_id,
      cell: (a) => html`<${Link} to=${["episode", a.episode_id]}>${a.task_id}<//>` },
    { id: "outcome", name: "Outcome", value: (a) => a.outcome,
      cell: (a) => html`<${Outcome} of=${a.outcome} />` },
    { id: "why", name: "Why not", value: (a) => a.error_cause || without(a.failure_class) },
    { id: "place", name: "Where", value: standing },
    { id: "purpose", name: "Purpose", value: (a) => a.purpose },
    { id: "category", name: "Category", value: (a) => a.category },
    { id: "reward", name: "Reward", number: true, value: (a) => a.reward,
      cell: (a) => fixed(a.reward, 2) },
    { id: "tests", name: "Tests", number: true,
      value: (a) => (a.tests_total ? a.tests_passed / a.tests_total : null), cell: tests },
    { id: "turns", name: "Turns", number: true, value: (a) => a.turns },
    { id: "tokens", name: "Tokens", number: true, example: "tokens>5000", value: (a) => a.tokens,
      cell: (a) => count(a.tokens) },
    { id: "cost", name: "Dollars", number: true, value: (a) => a.cost_usd,
      cell: (a) => a.cost },
    { id: "seconds", name: "Seconds", number: true, value: (a) => a.duration_s,
      cell: (a) => fixed(a.duration_s, 1) },
    { id: "skills", name: "Skills read", value: (a) => a.loaded.join(" "),
      cell: (a) => a.loaded.map((skill) => html`<${Link} class="chip"
        to=${["skill", a.agent_id, skill]}>${skill}<//> `) },
    { id: "at", name: "Started (UTC)", value: (a) => a.started_at, cell: (a) => time(a.started_at) },
  ];
}

const without = (failure) => (failure === "none" ? "" : failure.replaceAll("_", " "));

export function RunPage({ run_key }) {
  const state = useDocument(["run", run_key], { runs: [run_key] });
  const [chosen, setChosen] = useState([]);
  const choose = (id) =>
    setChosen(chosen.includes(id) ? chosen.filter((each) => each !== id)
      : [...chosen, id].slice(-2));
  return html`<${Trail}> › ${run_key}<//>
    <${Shown} state=${state}>${(found) => html`
      <h1>${found.run.kind} ${found.run.agent_id}</h1>
      <${Facts} run=${found.run} />
      <${Steer} found=${found} />
      ${found.note && html`<p>${found.note}</p>`}
      ${found.left_out.map((each) => html`<p class="problem">Left out: ${each}</p>`)}
      ${found.incidents.filter((each) => !each.settled).map((each) =>
        html`<p class="problem">${each.step}: ${each.error}</p>`)}
      <h2>Attempts</h2>
      <${Table} columns=${columns(chosen, choose)} rows=${found.attempts} first="at"
        noun="attempt" label="Attempts"
        picks=${["outcome:failed", "outcome:error", "outcome:passed"]}>
        <button type="button" disabled=${chosen.length !== 2}
          onClick=${() => (location.hash = address(["pair", ...chosen]))}>Side by side</button>
      <//>
      <${Parts} run_key=${found.run.run_key} parts=${found.parts} />
      <${Evolutions} of=${found.evolutions} />
      <${RunDownloads} run_key=${found.run.run_key} />`}<//>`;
}

const Facts = ({ run }) => html`<dl class="facts">
  <${Fact} name="Status">${run.status}<//>
  <${Fact} name="Passed">${run.passed} of ${run.attempts} attempts
    ${" "}(${percent(run.passed, run.attempts - run.errors) || "no score"})<//>
  <${Fact} name="Model">${run.model}${run.rehearsal && run.model !== "rehearsal" && " (rehearsal)"}<//>
  <${Fact} name="Dollars">${run.cost}<//>
  <${Fact} name="Started (UTC)">${time(run.started_at)}<//>
  <${Fact} name="Took">${duration(seconds_between(run.started_at, run.ended_at)) || "running"}<//>
  <${RunInPrefect} run=${run} />
</dl>`;

const Parts = ({ run_key, parts }) => parts.length > 0 && html`<p>What changed:
  ${parts.map(([a, b]) => html` <${Link}
    to=${["diff", `${run_key}@${a}`, `${run_key}@${b}`]}>${a} to ${b}<//>`)}</p>`;

const Evolutions = ({ of }) => of.length > 0 && html`
  <h2>What it changed</h2>
  <ul class="plain">${of.map((each) => html`<li>
    <strong>${each.evo_number ? `evo-${each.evo_number}` : each.step}</strong>
    ${each.cycle ? ` cycle ${each.cycle}` : ""}
    ${names("added", each.skills_added, each.agent_id)}
    ${names("changed", each.skills_changed, each.agent_id)}
    ${names("removed", each.skills_removed, each.agent_id)}
    ${/\/(task_skill|success)-/.test(each.step) && !unchanged(each)
      && names("skill of the task alone", each.task_ids, each.agent_id)}
    ${unchanged(each) && " changed nothing"}
    ${each.task_ids.length > 0 && ` ${unchanged(each) ? "after" : "learned from"} ${each.task_ids.join(", ")}`}
    ${each.refusals.map((refusal) => html` <span class="soft">refused ${refusal.path}:
      ${refusal.rule} ${refusal.reason}</span>`)}
    ${each.note && html` <span class="soft">${each.note}</span>`}
  </li>`)}</ul>`;

const unchanged = (each) => each.commit_before === each.commit_after;

const names = (word, skills, agent) => skills.length > 0 && html` ${word}${" "}
  ${skills.map((skill) => html`<${Link} class="chip" to=${["skill", agent, skill]}>${skill}<//> `)}`;
