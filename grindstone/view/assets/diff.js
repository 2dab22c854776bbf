// What changed between two runs, or two parts of runs.

import { html } from "./lib.js";
import { useDocument } from "./data.js";
import { Diff, Link, Outcome, Shown, Trail } from "./parts.js";
import { Table } from "./table.js";
import { duration, moment, plural } from "./words.js";

export function DiffPage({ before, after }) {
  const state = useDocument(["diff", before, after]);
  return html`<${Trail}> › ${before} to ${after}<//>
    <h1>From ${before} to ${after}</h1>
    <${Shown} state=${state}>${(found) => html`<${Changes} found=${found} />`}<//>`;
}

const flipped = (task) => task.before?.passed != null && task.after?.passed != null
  && task.before.passed !== task.after.passed;

const change = (task) => (flipped(task) ? (task.after.passed ? "gained" : "lost") : "same");

const COLUMNS = [
  { id: "task", name: "Task", value: (task) => task.task_id },
  { id: "change", name: "Change", value: change },
  { id: "before", name: "Before", value: (task) => ending(task.before),
    cell: (task) => html`<${Side} of=${task.before} />` },
  { id: "after", name: "After", value: (task) => ending(task.after),
    cell: (task) => html`<${Side} of=${task.after} />` },
  { id: "pair", name: "Side by side", value: () => "",
    cell: (task) => task.before?.episode_id && task.after?.episode_id && html`<${Link}
      to=${["pair", task.before.episode_id, task.after.episode_id]}>compare<//>` },
];

const ending = (side) => (side?.passed == null ? "" : side.passed ? "passed" : "failed");

const Side = ({ of }) => {
  if (!of) return "not tried";
  if (of.passed == null) return "no score";
  return html`<${Link} to=${["episode", of.episode_id]}><${Outcome} of=${ending(of)} /><//>${" "}
    <span class="soft">${of.tests_total ? `${of.tests_passed}/${of.tests_total} ` : ""}
    ${duration(of.duration_s)} ${of.cost}</span>`;
};

function Changes({ found }) {
  const gained = found.tasks.filter((task) => change(task) === "gained");
  const lost = found.tasks.filter((task) => change(task) === "lost");
  return html`
    <p>${plural(gained.length, "task")} gained, ${lost.length} lost, of ${found.tasks.length}.
      ${" "}<span class="soft">Other tasks, models or luck may lie between two runs as well.</span></p>
    <${Run} name="Before" run=${found.before} part=${found.before_part} />
    <${Run} name="After" run=${found.after} part=${found.after_part} />
    <h2>Tasks</h2>
    <${Table} columns=${COLUMNS} rows=${found.tasks} first="change" noun="task" label="Tasks"
      picks=${["change:gained", "change:lost", "change:same"]} />
    <h2>What stands between them</h2>
    ${found.evolutions.length > 0 && html`<ul class="plain">${found.evolutions.map((each) => html`<li>
      <strong>${each.number == null ? each.kind : `evo-${each.number}`}</strong> ${each.message}
      ${each.rejected && " (taken back)"} <span class="soft">${each.commit.slice(0, 10)}</span></li>`)}</ul>`}
    ${found.skill_diff ? html`<${Diff} text=${found.skill_diff} />`
      : html`<p>The skills are the same.</p>`}`;
}

const Run = ({ name, run, part }) => html`<p>${name}: <${Link} to=${["run", run.run_key]}>${run.run_key}<//>
  ${part && `, ${part}`}, ${run.kind} of ${run.agent_id} with ${run.model}, ${moment(run.started_at)}</p>`;
