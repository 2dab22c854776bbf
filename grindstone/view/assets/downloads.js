// A run as files for other tools.

import { html, useState } from "./lib.js";
import { fetchFile, offline } from "./data.js";
import { save } from "./parts.js";

const FORMS = [["json", "Report (JSON)"], ["atif", "Trajectories (ATIF)"], ["inspect", "Inspect log"]];

export function RunDownloads({ run_key }) {
  const [told, setTold] = useState("");
  const get = async (form) => {
    setTold("Writing…");
    try {
      const { name, content } = await fetchFile(["run", run_key, "download", form]);
      save(name, content);
      setTold("");
    } catch (error) {
      setTold(error.message);
    }
  };
  return !offline && html`<p class="tools">Download ${FORMS.map(([form, name]) =>
    html`<button type="button" onClick=${() => get(form)}>${name}</button>`)}
    ${told && html`<span role="status">${told}</span>`}</p>`;
}
