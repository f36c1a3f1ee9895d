// Times as people read them: short in lists, relative where it helps, exact on hover.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const ago = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** @param {string} iso @returns {string} hours and minutes */
export const timeOfDay = (iso) => clock.format(new Date(iso));

/** @param {string} iso @returns {string} everything */
export const exactTime = (iso) => exact.format(new Date(iso));

/**
 * For lists: “now”, “5 minutes ago”, a time today, a weekday this week, else a date.
 * @param {string} iso
 * @param {Date} [now]
 */
export function relativeTime(iso, now = new Date()) {
  const moment = new Date(iso);
  const past = now.getTime() - moment.getTime();
  if (past < MINUTE_MS) return ago.format(0, "second");
  if (past < HOUR_MS) return ago.format(-Math.floor(past / MINUTE_MS), "minute");
  if (moment.toDateString() === now.toDateString()) return clock.format(moment);
  return past < 6 * DAY_MS ? weekday.format(moment) : date.format(moment);
}
