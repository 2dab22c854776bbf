// The address of what is shown: everything behind the #, so that it works at any path.

import { useEffect, useState } from "./lib.js";

export function readPlace() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return {
    parts: path.split("/").filter(Boolean).map(decoded),
    query: Object.fromEntries(new URLSearchParams(query ?? "")),
  };
}

// An address that somebody typed may be none.
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function address(parts, query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== "" && value != null);
  const told = new URLSearchParams(kept).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${told && `?${told}`}`;
}

// Change the query without a new entry in the browser's history.
export function setQuery(changes) {
  const { parts, query } = readPlace();
  history.replaceState(null, "", address(parts, { ...query, ...changes }));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

export function usePlace() {
  const [place, setPlace] = useState(readPlace);
  useEffect(() => {
    const moved = () => setPlace(readPlace());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return place;
}
