// A table that is sorted by its heads and filtered by what one types.

import { html, useMemo, useState } from "./lib.js";
import { setQuery, usePlace } from "./place.js";
import { plural } from "./words.js";

const SHOWN = 200;

// "Started (UTC)" is asked for as started:
const keyed = (name) => name.toLowerCase().replace(/ \(.*/, "").replaceAll(" ", "-");

// Words that a row must hold; `column:word`, `column>number` and `column<number` look at one,
// which goes by its id or by its head, with hyphens.
function conditions(text, columns) {
  const named = columns.map((column) => [keyed(column.name), column]);
  const byId = new Map([...named, ...columns.map((column) => [column.id, column])]);
  return (text.match(/\S+/g) ?? []).map((term) => {
    const [, id, sign, wanted] = term.match(/^([\w-]+)([:<>])(.+)$/) ?? [];
    const column = byId.get(id?.toLowerCase());
    if (!column) {
      const word = term.toLowerCase();
      return (row) => columns.some((each) => textOf(each, row).includes(word));
    }
    if (sign === ":") return (row) => textOf(column, row).includes(wanted.toLowerCase());
    const limit = Number(wanted);
    return (row) => {
      const value = column.value(row);
      return value != null && (sign === ">" ? value > limit : value < limit);
    };
  });
}

function textOf(column, row) {
  return String(column.value(row) ?? "").toLowerCase();
}

function ordered(rows, column, down) {
  const sign = down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x == null || y == null) return x == null ? (y == null ? 0 : 1) : -1;
    return sign * (typeof x === "number" ? x - y : String(x).localeCompare(String(y)));
  });
}

// columns: {id, name, value(row), cell(row)?, number?, example?}; `first` is the order at first, as in "-at".
export function Table({ columns, rows, first, noun, label, picks = [], children }) {
  const { query } = usePlace();
  const [limit, setLimit] = useState(SHOWN);
  const sort = query.sort ?? first;
  const filter = query.filter ?? "";
  const found = useMemo(() => {
    const tests = conditions(filter, columns);
    const kept = rows.filter((row) => tests.every((test) => test(row)));
    const column = columns.find((each) => each.id === sort.replace(/^-/, ""));
    return column ? ordered(kept, column, sort.startsWith("-")) : kept;
  }, [rows, filter, sort]);
  const examples = columns.map((column) => column.example).filter(Boolean);
  const sortBy = (id) => setQuery({ sort: sort === id ? `-${id}` : id });
  return html`
    <div class="tools">
      <label>Filter <input type="search" value=${filter} size="36" class="filter"
        placeholder=${`such as ${[picks[0] ?? "word", ...examples].join(" or ")}`}
        onInput=${(event) => setQuery({ filter: event.target.value })} /></label>
      ${picks.map((pick) => html`<button type="button" aria-pressed=${filter === pick}
        onClick=${() => setQuery({ filter: filter === pick ? "" : pick })}>${pick}</button>`)}
      ${children}
      <span role="status">${found.length === rows.length ? plural(rows.length, noun)
        : `${found.length} of ${plural(rows.length, noun)}`}</span>
    </div>
    <div class="wide" tabindex="0" role="region" aria-label=${label}>
      <table>
        <thead><tr>${columns.map((column) => html`
          <th scope="col" class=${column.number ? "number" : ""}
            aria-sort=${order(sort, column.id)}>
            <button type="button" onClick=${() => sortBy(column.id)}>${column.name}</button>
          </th>`)}</tr></thead>
        <tbody>${found.slice(0, limit).map((row) => html`<tr>${columns.map((column) => html`
          <td class=${column.number ? "number" : ""}>${column.cell ? column.cell(row)
            : column.value(row)}</td>`)}</tr>`)}</tbody>
      </table>
    </div>
    ${found.length > limit && html`<p><button type="button"
      onClick=${() => setLimit(limit + 1000)}>Show more (${found.length - limit} left)</button></p>`}`;
}

function order(sort, id) {
  if (sort === id) return "ascending";
  return sort === `-${id}` ? "descending" : "none";
}
