// The way to Prefect's UI, where the viewer is served beside it.

import { html, useEffect, useState } from "./lib.js";
import { askPrefect, load, offline } from "./data.js";
import { Fact } from "./parts.js";

const MOST = 50; // flow runs that are looked through: attempts at one task in one run

const ofRun = ({ run_key, kind }) => ({
  question: { flow_runs: { tags: { all_: [`run:${run_key}`] } }, flows: { name: { any_: [kind] } } },
  is: () => true,
});

const ofAttempt = (attempt) => ({
  question: {
    flow_runs: { tags: { all_: [`run:${attempt.run_key}`] }, name: { like_: attempt.task_id } },
    flows: { name: { any_: ["attempt"] } },
  },
  is: ({ parameters: { spec } }) => ["task_id", "purpose", "arm", "cycle", "trial"]
    .every((name) => (spec?.[name] ?? "") === attempt[name]),
});

// The latest flow run of something, and where Prefect shows it; nothing where there is none.
async function find({ question, is }) {
  if (offline) return null;
  const { prefect } = await load(["home"]);
  if (!prefect) return null;
  const found = await askPrefect(prefect, "flow_runs/filter",
    { ...question, sort: "EXPECTED_START_TIME_DESC", limit: MOST });
  const run = found.find(is);
  return run ? `${prefect}v2/runs/flow-run/${run.id}` : null;
}

function InPrefect({ id, wanted }) {
  const [place, setPlace] = useState(null);
  useEffect(() => {
    let current = true;
    find(wanted).then((found) => current && setPlace(found), () => {}); // the page does without
    return () => (current = false);
  }, [id]);
  return place && html`<${Fact} name="In Prefect"><a href=${place}>flow run</a><//>`;
}

export const RunInPrefect = ({ run }) =>
  html`<${InPrefect} id=${run.run_key} wanted=${ofRun(run)} />`;

export const AttemptInPrefect = ({ attempt }) =>
  html`<${InPrefect} id=${attempt.episode_id} wanted=${ofAttempt(attempt)} />`;
