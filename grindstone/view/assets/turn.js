// One step of a conversation: a line that unfolds.

import { Component, html, useState } from "./lib.js";
import { count } from "./words.js";

const LONG = 4000; // characters of an output that are shown before one asks for all
const NAMES = { system: "Prompt", user: "Task", agent: "Agent", summary: "Summary" };

// Draws itself again only when something of its own has changed: there may be thousands.
export class Turn extends Component {
  shouldComponentUpdate(next) {
    const { line, open, step, marked } = this.props;
    return next.line !== line || next.open !== open || next.step !== step
      || next.marked !== marked;
  }

  render({ line, open, step, marked, toggle, raw, agent }) {
    const classes = ["turn", line.kind, line.failed && "failed", marked && "marked"];
    return html`<details id=${`turn-${line.index}`} class=${classes.filter(Boolean).join(" ")}
        open=${open} onToggle=${(event) => toggle(line.index, event.currentTarget.open)}>
      <summary>
        <span class="number">${line.index}</span> <span class="who">${NAMES[line.kind]}</span>
        ${" "}<${Signs} line=${line} agent=${agent} />
        ${" "}<span class="title">${line.title}</span>
      </summary>
      ${open && (step ? html`<${Body} step=${step} line=${line} raw=${raw} />`
        : html`<p role="status">Reading…</p>`)}
    </details>`;
  }
}

const Signs = ({ line }) => html`<span class="signs">
  ${line.exit_codes.map((code) => html`<span class=${code ? "sign bad" : "sign good"}>exit ${code}</span> `)}
  ${line.failed && line.exit_codes.every((code) => code === 0) && html`<span class="sign bad">error</span> `}
  ${line.timed_out && html`<span class="sign bad">timed out</span> `}
  ${line.loads.map((skill) => html`<span class="sign skill">reads ${skill}</span> `)}
  ${line.repeats.length > 0 && html`<span class="sign loop">repeated</span> `}
  ${line.seconds != null && html`<span class="soft">${line.seconds.toFixed(1)} s</span> `}
  ${line.tokens_out != null && html`<span class="soft">${count(line.tokens_in)} → ${count(line.tokens_out)} tokens</span>`}
</span>`;

function Body({ step, line, raw }) {
  const outputs = new Map(step.outputs.map((output) => [output.call_id, output]));
  return html`<div class="body">
    ${step.reasoning && html`<h4>Reasoning</h4><pre class="said soft">${step.reasoning}</pre>`}
    ${step.message && html`<pre class="said">${step.message}</pre>`}
    ${step.calls.map((call) => html`
      <${Asked} call=${call} />
      <${Gave} output=${outputs.get(call.call_id)} />`)}
    ${line.call != null && raw && html`<${Raw} raw=${raw} call=${line.call} />`}
  </div>`;
}

export function commandOf(call) {
  const { command, keystrokes } = call.arguments;
  return [command, keystrokes].find((each) => typeof each === "string");
}

export function Asked({ call }) {
  const command = commandOf(call);
  return html`<pre class="asked">${command ?? `${call.name} ${JSON.stringify(call.arguments, null, 1)}`}</pre>`;
}

export function Gave({ output }) {
  const [all, setAll] = useState(false);
  if (!output) return html`<p class="soft">not run</p>`;
  const { content } = output;
  const shown = all || content.length <= LONG ? content : content.slice(0, LONG);
  return html`<p class="ending">${ending(output)}</p>
    <pre class="gave">${shown}</pre>
    ${shown.length < content.length && html`<p><button type="button" onClick=${() => setAll(true)}>
      Show all ${count(content.length)} characters</button></p>`}`;
}

function ending(output) {
  const took = output.duration_s ? `, ${output.duration_s.toFixed(1)} s` : "";
  if (output.timed_out) return `ended at its time limit${took}`;
  if (output.exit_code != null) return `exit code ${output.exit_code}${took}`;
  return output.is_error ? "refused" : "";
}

// The answer as the service gave it; of the request the journal keeps a digest alone.
function Raw({ raw, call }) {
  const [found, setFound] = useState(null);
  const ask = () => raw().then(
    (calls) => setFound(calls.filter((each) => each.record.turn === call)),
    (error) => setFound(error.message),
  );
  if (found === null) {
    return html`<p><button type="button" onClick=${ask}>Raw answer</button></p>`;
  }
  if (typeof found === "string") return html`<p class="problem">${found}</p>`;
  if (found.length === 0) return html`<p class="soft">The run's journal holds no answer of it.</p>`;
  return html`<h4>Request and answer</h4>
    <p class="soft">It was sent the prompt and the conversation above. The journal keeps what came
      back, and of the request a digest: ${found.map((each) => each.record.call_id).join(", ")}.</p>
    <pre class="gave">${found.map((each) => JSON.stringify(each, null, 2)).join("\n")}</pre>`;
}
