// The steps of a conversation, read in chunks as they are unfolded.

import { useEffect, useMemo, useRef, useState } from "./lib.js";
import { load, offline } from "./data.js";

export function useSteps(id, chunk, open) {
  const [steps, setSteps] = useState(() => new Map());
  const asked = useRef(new Set());
  useEffect(() => {
    for (const index of open) {
      const number = Math.floor(index / chunk);
      if (asked.current.has(number)) continue;
      asked.current.add(number);
      load(["episode", id, "steps", String(number)]).then((found) =>
        setSteps((before) => new Map([...before, ...found.steps.map((step) => [step.index, step])])));
    }
  }, [open]);
  return steps;
}

// The model's raw answers, asked for once.
export function useRaw(id) {
  return useMemo(() => {
    if (offline) return null; // a folder has none
    let calls = null;
    return () => (calls ??= load(["episode", id, "calls"]).then((found) => found.calls));
  }, [id]);
}

// Which turns are unfolded.
export function useOpen(first) {
  const [open, setOpen] = useState(() => new Set(first));
  const toggle = (index, now) => setOpen((before) => {
    if (before.has(index) === now) return before;
    const after = new Set(before);
    if (now) after.add(index);
    else after.delete(index);
    return after;
  });
  return [open, toggle, setOpen];
}
