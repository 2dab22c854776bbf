// The page: which part of it an address shows.

import { html, render, useEffect, useState } from "./lib.js";
import { AttemptPage } from "./attempt.js";
import { LoginNeeded, load, offline, saveLogin, takeLogin } from "./data.js";
import { DiffPage } from "./diff.js";
import { PairPage } from "./pair.js";
import { Link } from "./parts.js";
import { usePlace } from "./place.js";
import { RunPage } from "./run.js";
import { RunsPage } from "./runs.js";
import { SearchBox, SearchPage } from "./search.js";
import { SkillPage } from "./skill.js";
import { SkillsPage } from "./skills.js";
import { TrendsPage } from "./trends.js";

const PAGES = {
  "": () => html`<${RunsPage} />`,
  run: ([run_key]) => html`<${RunPage} key=${run_key} run_key=${run_key} />`,
  episode: ([id]) => html`<${AttemptPage} key=${id} id=${id} />`,
  pair: ([left, right]) => html`<${PairPage} key=${left + right} left=${left} right=${right} />`,
  diff: ([before, after]) => html`<${DiffPage} before=${before} after=${after} />`,
  skills: () => html`<${SkillsPage} />`,
  skill: ([agent, skill]) => html`<${SkillPage} key=${agent + skill} agent=${agent} skill=${skill} />`,
  trends: () => html`<${TrendsPage} />`,
  search: () => html`<${SearchPage} />`,
};

function App() {
  const { parts } = usePlace();
  const [name = "", ...rest] = parts;
  const page = PAGES[name];
  useEffect(() => {
    document.title = [...parts, "Grindstone"].join(" · ");
    scrollTo(0, 0);
  }, [parts.join("/")]);
  return html`
    <a class="skip" href=${location.hash} onClick=${skip}>To the content</a>
    <header><strong><${Link} to=${[]}>Grindstone<//></strong>
      <nav aria-label="Pages"><${Link} to=${[]}>Runs<//> <${Link} to=${["trends"]}>Trends<//>
        ${" "}<${Link} to=${["skills"]}>Skills<//>
        ${offline && html` <a href="report.html">Report</a>`}</nav>
      ${!offline && html`<${SearchBox} />`}</header>
    <main id="content" tabindex="-1">${page ? page(rest)
      : html`<p class="problem">There is no page ${parts.join("/")}.</p>`}</main>`;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("content").focus();
}

function Door({ opened }) {
  const [refused, setRefused] = useState(false);
  const enter = async (event) => {
    event.preventDefault();
    saveLogin(new FormData(event.target).get("login"));
    if (await admitted()) opened();
    else setRefused(true);
  };
  return html`<main id="content"><h1>Grindstone</h1>
    <form onSubmit=${enter}><label>The home's login, the line in its <code>server/login</code>
      ${" "}<input name="login" type="password" autocomplete="current-password" required /></label>
      ${" "}<button>Enter</button></form>
    ${refused && html`<p class="problem" role="alert">That is not the login.</p>`}</main>`;
}

async function admitted() {
  try {
    await load(["home"]);
  } catch (error) {
    return !(error instanceof LoginNeeded);
  }
  return true;
}

function Entry() {
  const [open, setOpen] = useState(null);
  useEffect(() => void (offline ? setOpen(true) : admitted().then(setOpen)), []);
  if (open === null) return html`<main id="content"><p role="status">Reading…</p></main>`;
  return open ? html`<${App} />` : html`<${Door} opened=${() => setOpen(true)} />`;
}

takeLogin();
render(html`<${Entry} />`, document.body);
