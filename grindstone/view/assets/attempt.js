// One attempt: why it ended so, then what was said and done, then what it was given.

import { html, useEffect, useState } from "./lib.js";
import { load, offline, useDocument } from "./data.js";
import { Fact, Link, Outcome, Shown, Trail, save } from "./parts.js";
import { setQuery, usePlace } from "./place.js";
import { AttemptInPrefect } from "./prefect.js";
import { useOpen, useRaw, useSteps } from "./steps.js";
import { Turn } from "./turn.js";
import { count, duration, fixed, plural, standing, tests, time } from "./words.js";

const ALL_OPEN = 40; // a conversation of so many turns is unfolded at first
const NAMED = 20; // failed tests that are named at first
const DRAWN = 150; // turns that are drawn at once; the others follow while one reads

export function AttemptPage({ id }) {
  const state = useDocument(["episode", id]);
  return html`<${Shown} state=${state}>${(found) => html`
    <${Trail}> › <${Link} to=${["run", found.attempt.run_key]}>${found.attempt.run_key}<//>
      ${" › "}${found.attempt.task_id}<//>
    <${Attempt} key=${found.attempt.episode_id} found=${found} />`}<//>`;
}

function Attempt({ found }) {
  const { attempt } = found;
  return html`
    <h1><${Outcome} of=${attempt.outcome} />: ${attempt.task_id}
      ${" "}<span class="soft">${standing(attempt)}</span></h1>
    <${Why} found=${found} />
    <${Facts} found=${found} />
    <${Conversation} found=${found} />
    <${Skills} found=${found} />`;
}

export function Why({ found, id = "why" }) {
  const { attempt, feedback, judge } = found;
  const failing = (feedback?.tests ?? []).filter((test) => test.status !== "passed");
  return html`<section aria-labelledby=${id}>
    <h2 id=${id}>Why it ${attempt.outcome === "passed" ? "passed" : "did not pass"}</h2>
    ${attempt.outcome === "error" && html`<p class="problem">${attempt.error_cause}:
      ${" "}${found.error_detail}</p>`}
    ${attempt.failure_class !== "none" && html`<p>${attempt.failure_class.replaceAll("_", " ")};
      ended: ${found.stop_reason.replaceAll("_", " ")}</p>`}
    ${feedback && html`<p>Reward ${fixed(feedback.reward, 2)}${tests(attempt)
      && `, ${tests(attempt)} tests passed`}</p>`}
    <${Failing} tests=${failing.slice(0, NAMED)} />
    ${failing.length > NAMED && html`<details>
      <summary>${plural(failing.length - NAMED, "more test")}</summary>
      <${Failing} tests=${failing.slice(NAMED)} /></details>`}
    ${found.evidence && html`<p>In doubt: ${found.evidence}</p>`}
    ${feedback?.output && html`<details open=${attempt.outcome !== "passed"}>
      <summary>What the verifier said${found.level === "full" ? "" : ` (${found.level})`}</summary>
      <pre class="gave" tabindex="0">${feedback.output}</pre></details>`}
    ${judge && html`<p>The judge: ${judge.score ?? "no score"} of 10, ${judge.outcome}
      ${" "}${judge.failure_reason || judge.error}</p>`}
    <${Remarks} of=${found.remarks} />
  </section>`;
}

const Failing = ({ tests: those }) => those.length > 0 && html`<ul class="tests">${those.map((test) => html`
  <li>✗ <code>${test.name}</code> ${test.status}${test.count > 1 ? ` ×${test.count}` : ""}</li>`)}</ul>`;

const Remarks = ({ of }) => html`
  ${of.corrections.map((each) => html`<p>${each.by} corrected ${each.field}: ${each.original} →
    ${" "}${each.correction} (${each.reason})</p>`)}
  ${of.broken_rules.map((each) => html`<p class="problem">Broke ${each.pack}/${each.rule}
    (${each.severity}): ${each.evidence}</p>`)}
  ${of.ratings.map((each) => html`<p>${each.by} rated it ${each.rating * 5} of 5: ${each.comment}</p>`)}`;

const Facts = ({ found }) => html`<dl class="facts">
  <${Fact} name="Agent">${found.attempt.agent_id}, ${found.profile}<//>
  <${Fact} name="Model">${found.attempt.model}<//>
  <${Fact} name="Turns">${found.attempt.turns}<//>
  <${Fact} name="Tokens">${count(found.attempt.tokens)}<//>
  <${Fact} name="Dollars">${found.attempt.cost}<//>
  <${Fact} name="Took">${duration(found.attempt.duration_s)}<//>
  <${Fact} name="Started (UTC)">${time(found.attempt.started_at)}<//>
  <${Fact} name="Beside it">${found.previous
    ? html`<${Link} to=${["episode", found.previous]}>previous<//> ` : ""}${found.previous
    ? html`<${Link} to=${["pair", found.previous, found.attempt.episode_id]}>compare<//> ` : ""}${found.following
    ? html`<${Link} to=${["episode", found.following]}>next<//>` : ""}${!found.previous
    && !found.following ? "the only attempt at it in this run" : ""}<//>
  <${AttemptInPrefect} attempt=${found.attempt} />
</dl>`;

function Conversation({ found }) {
  const { query } = usePlace();
  const id = found.attempt.episode_id;
  const turns = found.turns.filter((line) => line.kind !== "system");
  const prompts = found.turns.filter((line) => line.kind === "system");
  const asked = query.step === undefined ? null : Number(query.step);
  const first = found.first_error ?? turns[0]?.index;
  const [open, toggle, setOpen] = useOpen(
    turns.length <= ALL_OPEN ? turns.map((line) => line.index) : [first]);
  const steps = useSteps(id, found.chunk, open);
  const raw = useRaw(id);
  const [drawn, setDrawn] = useState(DRAWN);
  const reach = Math.max(drawn, asked === null ? 0 : asked + DRAWN);
  useEffect(() => {
    if (reach >= turns.length) return undefined;
    const later = setTimeout(() => setDrawn(reach + 4 * DRAWN), 150);
    return () => clearTimeout(later);
  }, [reach]);
  useEffect(() => {
    if (asked !== null) reveal(asked, toggle);
  }, [asked]);
  const go = (index) => (index === asked ? reveal(index, toggle) : setQuery({ step: index }));
  useKeys(found, go);
  const all = turns.every((line) => open.has(line.index));
  const draw = (line) => html`<${Turn} key=${line.index} line=${line} toggle=${toggle} raw=${raw}
    open=${open.has(line.index)} step=${steps.get(line.index)} marked=${line.index === asked} />`;
  return html`<section aria-labelledby="conversation">
    <h2 id="conversation">Conversation</h2>
    <${Jumps} found=${found} go=${go} />
    <p class="tools"><button type="button" onClick=${() =>
      setOpen(new Set(all ? [] : turns.map((line) => line.index)))}>
      ${all ? "Fold all" : "Unfold all"}</button>
      <${Downloads} found=${found} />
      <span class="soft">Keys: j next turn, k turn before, e next error, Enter folds</span></p>
    <div class="turns">${turns.slice(0, reach).map(draw)}</div>
    ${found.submission && html`<h3>Its closing words</h3><pre class="said">${found.submission}</pre>`}
    ${prompts.length > 0 && html`<h3>Prompt</h3><div class="turns">${prompts.map(draw)}</div>`}
  </section>`;
}

function reveal(index, toggle) {
  toggle(index, true);
  requestAnimationFrame(() => {
    const turn = document.getElementById(`turn-${index}`);
    turn?.scrollIntoView({ block: "start" });
    turn?.querySelector("summary").focus({ preventScroll: true });
  });
}

function useKeys(found, go) {
  useEffect(() => {
    const pressed = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
      const at = Number(document.activeElement?.closest(".turn")?.id.replace("turn-", "") ?? -1);
      const after = (indices) => indices.find((index) => index > at) ?? indices[0];
      const order = found.turns.filter((line) => line.kind !== "system").map((line) => line.index);
      const to = { j: () => after(order), k: () => order.filter((index) => index < at).at(-1),
        e: () => after(found.errors) }[event.key]?.();
      if (to === undefined) return;
      if (event.key === "e") go(to);
      else document.querySelector(`#turn-${to} > summary`)?.focus();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [found]);
}

const Jumps = ({ found, go }) => html`<ul class="jumps">
  ${found.first_error != null && html`<li><button type="button" onClick=${() => go(found.first_error)}>
    First error: turn ${found.first_error}</button> ${plural(found.errors.length, "turn")} with errors</li>`}
  ${found.loads.map((load) => html`<li>Reads <strong>${load.skill}</strong> at turn${" "}
    ${load.steps.map((step) => html`<button type="button" onClick=${() => go(step)}>${step}</button> `)}</li>`)}
  ${found.repeated.map((each) => html`<li>Repeats <code>${each.command.slice(0, 120)}</code> at turns${" "}
    ${each.steps.slice(0, 20).map((step) => html`<button type="button" onClick=${() => go(step)}>${step}</button> `)}
    ${each.steps.length > 20 && `and ${each.steps.length - 20} more`}</li>`)}
</ul>`;

function Downloads({ found }) {
  const id = found.attempt.episode_id;
  const get = (name, parts) => load(parts).then((document) =>
    save(`${found.attempt.task_id}-${id.slice(0, 12)}${name}.json`, JSON.stringify(document, null, 2)));
  return !offline && html`
    ${found.turns.length > 0 && html`<button type="button"
      onClick=${() => get(".atif", ["episode", id, "atif"])}>Download ATIF</button>`}
    ${" "}<button type="button" onClick=${() => get("", ["episode", id, "whole"])}>Download JSON</button>`;
}

const Skills = ({ found }) => found.skills.length > 0 && html`<section>
  <h2>Skills it was offered</h2>
  <div class="wide" tabindex="0" role="region" aria-label="Skills"><table>
    <thead><tr><th scope="col">Skill</th><th scope="col">Read</th><th scope="col">Followed</th>
      <th scope="col">Commands it teaches that were run</th><th scope="col">Chosen because</th></tr></thead>
    <tbody>${found.skills.map((use) => html`<tr>
      <td>${use.scope === "general"
        ? html`<${Link} to=${["skill", found.attempt.agent_id, use.skill]}>${use.skill}<//>`
        : `${use.skill} (of this task)`}</td>
      <td>${use.loaded ? "✓" : ""}</td><td>${use.followed ? "✓" : ""}</td>
      <td>${use.matched_commands} of ${use.taught_commands}</td>
      <td>${use.selection_reason || use.selection_method}</td></tr>`)}</tbody>
  </table></div></section>`;
