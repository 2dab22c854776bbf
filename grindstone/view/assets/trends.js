// Agents and tasks over the runs.

import { html } from "./lib.js";
import { useDocument } from "./data.js";
import { Link, Shown } from "./parts.js";
import { MARKS, percent, moment } from "./words.js";

const [WIDTH, HEIGHT, MARGIN] = [720, 180, 34];
const LATEST = 40; // runs that a task's row shows

export function TrendsPage() {
  const state = useDocument(["trends"], { runs: ["*"] });
  return html`<h1>Trends</h1>
    <p class="soft">Each task counts once per run, by its last attempt. Bars are 95% intervals.</p>
    <${Shown} state=${state}>${(found) => found.agents.map((agent) => html`<section>
      <h2>${agent.agent_id}</h2>
      <${Curve} agent=${agent} />
      <${Tasks} agent=${agent} /></section>`)}<//>`;
}

function Curve({ agent }) {
  const { points } = agent;
  const step = (WIDTH - 2 * MARGIN) / Math.max(1, points.length - 1);
  const x = (i) => MARGIN + (points.length === 1 ? (WIDTH - 2 * MARGIN) / 2 : i * step);
  const y = (rate) => HEIGHT - MARGIN / 2 - rate * (HEIGHT - MARGIN);
  const last = points.at(-1);
  return html`<svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} class="curve" role="group"
      aria-label=${`Pass rate of ${agent.agent_id} over ${points.length} runs, at last ${percent(last.passed, last.tasks)}`}>
    ${[0, 0.5, 1].map((rate) => html`<g><line class="rule" x1=${MARGIN} x2=${WIDTH - MARGIN}
      y1=${y(rate)} y2=${y(rate)} /><text x="2" y=${y(rate) + 4}>${rate * 100}%</text></g>`)}
    <polyline class="line" points=${points.map((each, i) => `${x(i)},${y(each.passed / each.tasks)}`).join(" ")} />
    ${points.map((each, i) => html`<a href=${`#/run/${encodeURIComponent(each.run_key)}`}
        aria-label=${`${each.run_key}: ${each.passed} of ${each.tasks}`}>
      <title>${each.run_key} (${each.kind}) ${moment(each.at)}: ${each.passed} of ${each.tasks}</title>
      <line class="span" x1=${x(i)} x2=${x(i)} y1=${y(each.low)} y2=${y(each.high)} />
      <circle cx=${x(i)} cy=${y(each.passed / each.tasks)} r="4" /></a>`)}
  </svg>`;
}

const Tasks = ({ agent }) => html`<div class="wide" tabindex="0" role="region"
    aria-label=${`Tasks of ${agent.agent_id}`}><table>
  <thead><tr><th scope="col">Task</th><th scope="col" class="number">Passed</th>
    <th scope="col">Runs, the latest last</th></tr></thead>
  <tbody>${agent.tasks.map((task) => html`<tr><td>${task.task_id}</td>
    <td class="number">${task.marks.filter((each) => each.outcome === "passed").length} of ${task.marks.length}</td>
    <td>${task.marks.slice(-LATEST).map((each) => html`<${Link} class=${`mark ${each.outcome}`}
      to=${["episode", each.episode_id]} title=${each.run_key}
      aria-label=${`${each.run_key}: ${each.outcome}`}>${MARKS[each.outcome]}<//> `)}</td></tr>`)}</tbody>
</table></div>`;
