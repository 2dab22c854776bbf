// The skills of all agents.

import { html } from "./lib.js";
import { useDocument } from "./data.js";
import { Link, Shown } from "./parts.js";
import { Table } from "./table.js";
import { points } from "./words.js";

export function effectWords(effect) {
  if (!effect || effect.difference == null) return "";
  const span = `${points(effect.low)} to ${points(effect.high)}`;
  return `${points(effect.difference)} points (${span})`;
}

const COLUMNS = [
  { id: "skill", name: "Skill", value: (each) => each.skill,
    cell: (each) => html`<${Link} to=${["skill", each.agent_id, each.skill]}>${each.skill}<//>` },
  { id: "agent", name: "Agent", value: (each) => each.agent_id },
  { id: "now", name: "Now", value: (each) => (each.present ? `v${each.version}` : "gone") },
  { id: "warrant", name: "Measured", value: (each) => each.warrant },
  { id: "offered", name: "Offered", number: true, example: "offered>10", value: (each) => each.effect?.offered ?? 0 },
  { id: "loaded", name: "Read", number: true, value: (each) => each.effect?.loaded ?? 0 },
  { id: "followed", name: "Followed", number: true, value: (each) => each.effect?.followed ?? 0 },
  { id: "effect", name: "Pass rate with it, less without", number: true,
    value: (each) => each.effect?.difference ?? null, cell: (each) => effectWords(each.effect) },
  { id: "about", name: "What it says it is for", value: (each) => each.description },
];

export function SkillsPage() {
  const state = useDocument(["skills"]);
  return html`<h1>Skills</h1>
    <${Shown} state=${state}>${(found) => html`
      <${Table} columns=${COLUMNS} first="skill" noun="skill" label="Skills"
        picks=${["now:gone", "warrant:helps"]}
        rows=${found.agents.flatMap((agent) =>
          agent.skills.map((each) => ({ ...each, agent_id: agent.agent_id })))} />
      ${found.agents.flatMap((agent) => agent.broken.map((each) =>
        html`<p class="problem">${agent.agent_id}: ${each}</p>`))}`}<//>`;
}
