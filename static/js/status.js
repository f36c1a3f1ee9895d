// The floating status banner: one sentence at a time, read out by screen readers.

const SHOWN_MS = 6000;

const banner = /** @type {HTMLElement} */ (document.querySelector(".status-banner"));
const text = /** @type {HTMLElement} */ (banner.querySelector(".banner-text"));
const dismiss = /** @type {HTMLButtonElement} */ (banner.querySelector("button"));

let timer = 0;
/** Whether what is shown passes by itself or by a click. */
let passing = false;
/** Whether what is shown is over when the line is back. */
let offline = false;
/** What stays until it is over (a lost connection), shown again when a passing sentence has gone. */
let lasting = "";

/** Put the banner above all else: what is outside an open dialog can be neither read out nor pressed. */
function raise() {
  const dialog = document.activeElement?.closest("dialog") ?? [...document.querySelectorAll("dialog[open]")].at(-1);
  const place = dialog ?? document.body;
  if (banner.parentElement !== place) place.append(banner);
  banner.hidePopover?.();
  banner.showPopover?.();
}

/** @param {string} sentence @param {"info" | "good" | "bad"} mood */
function show(sentence, mood) {
  banner.hidden = false;
  raise();
  banner.dataset.mood = mood;
  text.textContent = sentence;
}

function hide() {
  clearTimeout(timer);
  passing = offline = false;
  if (lasting) show(lasting, "bad");
  else banner.hidden = true;
  dismiss.hidden = true;
}

/**
 * Say something that passes after SHOWN_MS; what went wrong stays until it is dismissed.
 * @param {string} sentence
 * @param {"info" | "good" | "bad"} [mood]
 */
export function say(sentence, mood = "info") {
  clearTimeout(timer);
  passing = true;
  offline = false;
  show(sentence, mood);
  dismiss.hidden = mood !== "bad";
  if (mood !== "bad") timer = setTimeout(hide, SHOWN_MS);
}

/**
 * Say what cannot be done without the server; it stays until the line is back, or it is dismissed.
 * @param {string} [sentence]
 */
export function sayOffline(sentence = "You are offline. This needs the server.") {
  say(sentence, "bad");
  offline = true;
}

/** The line is back: what was said of its absence is over. */
export function endOffline() {
  if (offline) hide();
}

/**
 * Say something that lasts; "" ends it.
 * @param {string} sentence
 */
export function sayWhile(sentence) {
  lasting = sentence;
  if (sentence || !passing) hide(); // what was said meanwhile is not over because the other is
}

dismiss.addEventListener("click", hide);
// A dialog that closes takes what is in it from sight; its close event does not bubble.
document.addEventListener("close", () => banner.hidden || raise(), true);
