// Two attempts side by side, from where they part.

import { html, useMemo } from "./lib.js";
import { useDocument } from "./data.js";
import { Why } from "./attempt.js";
import { Link, Outcome, Shown, Trail } from "./parts.js";
import { useOpen, useRaw, useSteps } from "./steps.js";
import { Turn } from "./turn.js";
import { count, duration, money, plural, standing } from "./words.js";

const SHOWN = 200; // turns behind the first that differs

export function PairPage({ left, right }) {
  const one = useDocument(["episode", left]);
  const two = useDocument(["episode", right]);
  return html`<${Trail}> › side by side<//>
    <${Shown} state=${one}>${(first) => html`<${Shown} state=${two}>${(second) =>
      html`<${Pair} first=${first} second=${second} />`}<//>`}<//>`;
}

const acted = (found) => found.turns.filter((line) => line.kind === "agent");

// How many turns both begin with: the same commands, or the same words where none was run.
function alike(first, second) {
  const [one, two] = [acted(first), acted(second)];
  const at = one.findIndex((line, i) => two[i] === undefined || line.title !== two[i].title);
  return at < 0 ? one.length : at;
}

function Pair({ first, second }) {
  const same = useMemo(() => alike(first, second), [first, second]);
  const parts = [first, second].map((found) => acted(found)[same]?.index);
  return html`<h1>${first.attempt.task_id}${second.attempt.task_id !== first.attempt.task_id
      && ` and ${second.attempt.task_id}`}, side by side</h1>
    <p>${parts.every((part) => part === undefined) ? "They did the same."
      : same === 0 ? "They part at the first turn."
      : `The first ${plural(same, "turn")} ran the same; they part at turn ${parts.map((part) =>
        part ?? "none").join(" and turn ")}.`}</p>
    <div class="sides">
      <${Side} found=${first} same=${same} /><${Side} found=${second} same=${same} />
    </div>`;
}

function Side({ found, same }) {
  const { attempt } = found;
  const turns = acted(found);
  const own = turns.slice(same, same + SHOWN);
  const [open, toggle] = useOpen(own.slice(0, 3).map((line) => line.index));
  const steps = useSteps(attempt.episode_id, found.chunk, open);
  const raw = useRaw(attempt.episode_id);
  const draw = (line) => html`<${Turn} key=${line.index} line=${line} toggle=${toggle} raw=${raw}
    open=${open.has(line.index)} step=${steps.get(line.index)} />`;
  return html`<section aria-label=${`${attempt.task_id} in ${attempt.run_key} ${standing(attempt)}`}>
    <p><${Link} to=${["episode", attempt.episode_id]}><${Outcome} of=${attempt.outcome} />
      ${" "}${attempt.run_key} ${standing(attempt)}<//></p>
    <p class="soft">${plural(attempt.turns, "turn")}, ${count(attempt.tokens)} tokens,
      ${" "}${duration(attempt.duration_s)} ${money(attempt.cost_usd)};
      ${" "}${attempt.loaded.length ? `read ${attempt.loaded.join(", ")}` : "read no skill"}</p>
    ${same > 0 && html`<details class="alike"><summary>${plural(same, "turn")} alike</summary>
      ${turns.slice(0, same).map(draw)}</details>`}
    <div class="turns">${own.map(draw)}</div>
    ${turns.length > same + SHOWN && html`<p class="soft">And ${turns.length - same - SHOWN} more.</p>`}
    <${Why} found=${found} id=${`why-${attempt.episode_id}`} />
  </section>`;
}
