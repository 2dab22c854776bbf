// Documents: asked of the server with the home's login, or found in files beside the page.

import { useEffect, useState } from "./lib.js";
import { readPlace, setQuery } from "./place.js";

const LOGIN = "grindstone-login";
const PREFECT_LOGIN = "prefect-password"; // Prefect's UI keeps it so, at the same origin

export const offline = globalThis.grindstoneFolder !== undefined;

export class LoginNeeded extends Error {}

// The address that `grindstone view` prints brings the login; it does not stay there.
export function takeLogin() {
  const { query } = readPlace();
  if (query.login) {
    localStorage.setItem(LOGIN, query.login);
    setQuery({ login: "" });
  }
}

export function saveLogin(line) {
  localStorage.setItem(LOGIN, btoa(line.trim()));
}

function logins() {
  const kept = [LOGIN, PREFECT_LOGIN].map((name) => localStorage.getItem(name));
  return kept.filter(Boolean);
}

const ask = (path, options) => askAt(`api/${path}`, options);

async function askAt(place, options = {}) {
  for (const login of [...logins(), ""]) {
    const headers = { ...options.headers, ...(login && { Authorization: `Basic ${login}` }) };
    const answer = await fetch(place, { ...options, headers });
    if (answer.status !== 401) return answer;
  }
  throw new LoginNeeded();
}

// The documents that a page is made of.
const DOCUMENTS = {
  pair: ([, ...ids]) => ids.map((id) => ["episode", id]),
  search: () => [["search"]],
};

// Whether the page at an address can be shown: a folder holds some, and a link leads to those alone.
export function holds(to) {
  if (!offline || to.length === 0) return true;
  const needed = DOCUMENTS[to[0]]?.(to) ?? [to];
  return needed.every((parts) => pathOf(parts) in globalThis.grindstoneFolder.files);
}

const pathOf = (parts) => parts.map(encodeURIComponent).join("/");

const waiting = new Map();

// A file of the folder calls this with its document.
globalThis.grindstoneArrived = (name, found) => waiting.get(name)?.(found);

function fromFolder(path) {
  const name = globalThis.grindstoneFolder.files[path];
  if (name === undefined) return Promise.reject(new Error("This folder does not hold it."));
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    waiting.set(name, resolve);
    script.src = `data/${name}.js`;
    script.onload = () => script.remove();
    script.onerror = () => reject(new Error(`${script.src} is not there.`));
    document.head.append(script);
  });
}

export async function load(parts, query = {}) {
  const told = new URLSearchParams(query).toString();
  const path = pathOf(parts) + (told && `?${told}`);
  if (offline) return fromFolder(path);
  const answer = await ask(path);
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.problem);
  return found;
}

// What Prefect's server, at a place beside this page, answers to a question of its API.
export async function askPrefect(server, path, question) {
  const answer = await askAt(`${server}api/${path}`, { method: "POST",
    headers: { "Content-Type": "application/json" }, body: JSON.stringify(question) });
  if (!answer.ok) throw new Error(`Prefect answers ${answer.status}.`);
  return answer.json();
}

// A file; its name is the server's.
export async function fetchFile(parts) {
  const answer = await ask(pathOf(parts));
  if (!answer.ok) throw new Error((await answer.json()).problem);
  const name = decodeURIComponent(answer.headers.get("Content-Disposition").split("''")[1]);
  return { name, content: await answer.blob() };
}

// Ask for a change; the server says what became of it.
export async function send(parts, order) {
  const answer = await ask(pathOf(parts), { method: "POST",
    headers: { "Content-Type": "application/json" }, body: JSON.stringify(order) });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.problem);
  return found;
}

// The document at an address, again whenever one of its runs changes ("*": any run).
export function useDocument(parts, { query = {}, runs = [] } = {}) {
  const wanted = JSON.stringify([parts, query]);
  const [state, setState] = useState({});
  const [version, setVersion] = useState(0);
  useEffect(() => {
    if (runs.length === 0) return undefined;
    return onChange((changed) => {
      if (runs.includes("*") || changed.some((key) => runs.includes(key))) {
        setVersion((before) => before + 1);
      }
    });
  }, [JSON.stringify(runs)]);
  useEffect(() => {
    let current = true;
    load(parts, query).then(
      (found) => current && setState({ wanted, found }),
      (error) => current && setState({ wanted, error }),
    );
    return () => (current = false);
  }, [wanted, version]);
  return state.wanted === wanted ? state : {};
}

const listeners = new Set();

function onChange(listener) {
  listeners.add(listener);
  if (listeners.size === 1 && !offline) follow();
  return () => listeners.delete(listener);
}

// Server-sent events, read by fetch: an EventSource cannot carry a login.
async function follow() {
  while (listeners.size > 0) {
    try {
      const answer = await ask("events");
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done || listeners.size === 0) break;
        const events = (text + value).split("\n\n");
        text = events.pop();
        for (const event of events) tell(event);
      }
      await reader.cancel();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 2000)); // it may come back
    }
  }
}

function tell(event) {
  const line = event.split("\n").find((each) => each.startsWith("data: "));
  const changed = JSON.parse(line.slice("data: ".length));
  if (changed.length > 0) for (const listener of listeners) listener(changed);
}
