// Two attempts side by side: where they part, and where they run the same again.

import { html, useMemo } from "./lib.js";
import { align } from "./align.js";
import { useDocument } from "./data.js";
import { Why } from "./attempt.js";
import { Link, Outcome, Shown, Trail } from "./parts.js";
import { useOpen, useRaw, useSteps } from "./steps.js";
import { Turn } from "./turn.js";
import { count, duration, plural, standing } from "./words.js";

const SHOWN = 200; // turns of one stretch

export function PairPage({ left, right }) {
  const one = useDocument(["episode", left]);
  const two = useDocument(["episode", right]);
  return html`<${Trail}> › side by side<//>
    <${Shown} state=${one}>${(first) => html`<${Shown} state=${two}>${(second) =>
      html`<${Pair} first=${first} second=${second} />`}<//>`}<//>`;
}

const acted = (found) => found.turns.filter((line) => line.kind === "agent");

function Pair({ first, second }) {
  const parts = useMemo(() => align(acted(first), acted(second)), [first, second]);
  const apart = parts.find((part) => !part.same);
  const same = parts[0]?.same ? parts[0].left.length : 0;
  const places = [apart?.left[0]?.index, apart?.right[0]?.index];
  const again = parts.slice(parts.indexOf(apart) + 1).filter((part) => part.same);
  const met = again.reduce((sum, part) => sum + part.left.length, 0);
  const sides = [useSide(first, apart?.left ?? []), useSide(second, apart?.right ?? [])];
  return html`<h1>${first.attempt.task_id}${second.attempt.task_id !== first.attempt.task_id
      && ` and ${second.attempt.task_id}`}, side by side</h1>
    <p>${!apart ? "They did the same."
      : same === 0 ? "They part at the first turn."
      : `The first ${plural(same, "turn")} ran the same; they part at turn ${places.map((place) =>
        place ?? "none").join(" and turn ")}.`}
      ${met > 0 && ` After that ${plural(met, "turn")} ran the same again.`}</p>
    <div class="sides">${[first, second].map((found) => html`<${Head} found=${found} />`)}</div>
    ${parts.map((part) => html`<${Stretch} part=${part} sides=${sides} />`)}
    <div class="sides">${[first, second].map((found) =>
      html`<div><${Why} found=${found} id=${`why-${found.attempt.episode_id}`} /></div>`)}</div>`;
}

// How one side draws its turns.
function useSide(found, apart) {
  const { episode_id: id } = found.attempt;
  const [open, toggle] = useOpen(apart.slice(0, 3).map((line) => line.index));
  const steps = useSteps(id, found.chunk, open);
  const raw = useRaw(id);
  return (line) => html`<${Turn} key=${line.index} line=${line} toggle=${toggle} raw=${raw}
    open=${open.has(line.index)} step=${steps.get(line.index)} />`;
}

function Stretch({ part, sides }) {
  const columns = [part.left, part.right];
  const shown = html`<div class=${part.same ? "sides" : "sides apart"}>${columns.map((lines, i) =>
    html`<div class="turns">${lines.slice(0, SHOWN).map(sides[i])}
      ${lines.length > SHOWN && html`<p class="soft">And ${count(lines.length - SHOWN)} more.</p>`}
    </div>`)}</div>`;
  return part.same ? html`<details class="alike"><summary>${plural(part.left.length, "turn")} alike:
    ${" "}${span(part.left)} and ${span(part.right)}</summary>${shown}</details>` : shown;
}

const span = (lines) => lines.length === 1 ? lines[0].index
  : `${lines[0].index} to ${lines.at(-1).index}`;

function Head({ found }) {
  const { attempt } = found;
  return html`<section aria-label=${`${attempt.task_id} in ${attempt.run_key} ${standing(attempt)}`}>
    <p><${Link} to=${["episode", attempt.episode_id]}><${Outcome} of=${attempt.outcome} />
      ${" "}${attempt.run_key} ${standing(attempt)}<//></p>
    <p class="soft">${plural(attempt.turns, "turn")}, ${count(attempt.tokens)} tokens,
      ${" "}${duration(attempt.duration_s)} ${attempt.cost};
      ${" "}${attempt.loaded.length ? `read ${attempt.loaded.join(", ")}` : "read no skill"}</p>
  </section>`;
}
