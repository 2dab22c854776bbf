// One skill: what it does, what it says, how it came about, where it was used.

import { html } from "./lib.js";
import { useDocument } from "./data.js";
import { Diff, Fact, Link, Outcome, Shown } from "./parts.js";
import { effectWords } from "./skills.js";
import { plural, points, standing, moment } from "./words.js";

export function SkillPage({ agent, skill }) {
  const state = useDocument(["skill", agent, skill]);
  return html`<nav class="trail" aria-label="Where this is"><${Link} to=${["skills"]}>Skills<//>
      ${" › "}${agent} › ${skill}</nav>
    <${Shown} state=${state}>${(found) => html`<${Skill} found=${found} />`}<//>`;
}

function Skill({ found }) {
  const { effect, warrant } = found;
  return html`
    <h1>${found.skill}${found.scope === "task" && html` <span class="soft">of this task alone</span>`}
      ${!found.present && html` <span class="soft">no longer in the library</span>`}</h1>
    <dl class="facts">
      ${effect && html`<${Fact} name="Offered / read / followed">${effect.offered} / ${effect.loaded} /
        ${" "}${effect.followed} of scored attempts<//>`}
      ${effect?.difference != null && html`<${Fact} name="Pass rate with it, less without">
        ${effectWords(effect)}: ${effect.with_passed} of ${effect.with_total} with it,
        ${" "}${effect.without_passed} of ${effect.without_total} without, at its tasks<//>`}
      ${warrant && html`<${Fact} name="Measured">${warrant.state}, ${points(warrant.lift)} points
        ${" "}(${points(warrant.interval_low)} to ${points(warrant.interval_high)}) for ${warrant.model},
        ${" "}${warrant.n_tasks} tasks${found.lapsed && `; lapsed: ${found.lapsed}`}<//>`}
      ${found.taught.length > 0 && html`<${Fact} name="Taught by">${taughtBy(found.taught)}<//>`}
    </dl>
    ${effect?.difference != null && html`<p class="soft">Seen in attempts that differ in other ways too;
      ${" "}grindstone skills audit measures it.</p>`}
    <h2>What it says</h2>
    <pre tabindex="0">${found.text || "Its text is gone."}</pre>
    <h2>Where it was used</h2>
    <${Used} found=${found} />
    <h2>History</h2>
    ${found.versions.map((version, at) => html`<details open=${at === 0}>
      <summary><strong>${version.change.number == null ? version.change.kind
        : `evo-${version.change.number}`}</strong> ${version.change.message}
        ${version.change.rejected && " (taken back)"}
        ${" "}<span class="soft">${moment(version.change.at)} ${version.change.step}</span></summary>
      <${Diff} text=${version.diff} /></details>`)}`;
}

const taughtBy = (rows) => rows.map((row) => html`<span>${row.learned_from.join(", ") || "no task"} in
  ${" "}<${Link} to=${["run", row.run_key]}>${row.run_key}<//>${row.evo_number
    ? ` (evo-${row.evo_number})` : ""} </span>`);

const Used = ({ found }) => html`
  <div class="wide" tabindex="0" role="region" aria-label="Tasks"><table>
    <thead><tr><th scope="col">Task</th><th scope="col" class="number">Offered</th>
      <th scope="col" class="number">Read</th><th scope="col" class="number">Followed</th>
      <th scope="col" class="number">Passed with it</th></tr></thead>
    <tbody>${found.tasks.map((task) => html`<tr><td>${task.task_id}</td>
      <td class="number">${task.offered}</td><td class="number">${task.loaded}</td>
      <td class="number">${task.followed}</td><td class="number">${task.loaded_and_passed}</td></tr>`)}</tbody>
  </table></div>
  <details><summary>${plural(found.attempts.length, "attempt")} that read it</summary>
    <ul class="plain">${found.attempts.map((each) => html`<li>
      <${Link} to=${["episode", each.episode_id]}><${Outcome} of=${each.outcome} /> ${each.task_id}<//>
      ${" "}<span class="soft">${each.run_key} ${standing(each)}</span></li>`)}</ul></details>`;
