// How numbers, times and outcomes are put into words.

export const MARKS = { passed: "✓", failed: "✗", error: "⚠" };

export const count = (n) => (n == null ? "" : n.toLocaleString("en"));

export const fixed = (n, digits) => (n == null ? "" : n.toFixed(digits));

export function plural(n, noun) {
  return `${count(n)} ${noun}${n === 1 ? "" : "s"}`;
}

export function percent(part, whole) {
  return whole ? `${Math.round((100 * part) / whole)}%` : "";
}

export function points(ratio) {
  return ratio == null ? "" : `${ratio > 0 ? "+" : ""}${Math.round(100 * ratio)}`;
}

export function duration(seconds) {
  if (seconds == null) return "";
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

// In UTC, as reports and commands have it; who shows it says so once.
export function time(iso) {
  return iso ? new Date(iso).toISOString().slice(0, 16).replace("T", " ") : "";
}

export const moment = (iso) => (iso ? `${time(iso)} UTC` : "");

export const seconds_between = (from, to) => (to ? (new Date(to) - new Date(from)) / 1000 : null);

// Where within a run an attempt stands.
export function standing(attempt) {
  const told = [attempt.arm, attempt.cycle ? `cycle ${attempt.cycle}` : ""];
  return [...told, attempt.trial ? `trial ${attempt.trial}` : ""].filter(Boolean).join(" ");
}

export function tests(attempt) {
  return attempt.tests_total ? `${attempt.tests_passed}/${attempt.tests_total}` : "";
}
