// The floating status banner: one sentence at a time, read out by screen readers.

const SHOWN_MS = 6000;

const banner = /** @type {HTMLElement} */ (document.querySelector(".status-banner"));
const text = /** @type {HTMLElement} */ (banner.querySelector(".banner-text"));
const dismiss = /** @type {HTMLButtonElement} */ (banner.querySelector("button"));

let timer = 0;
/** What stays until it is over (a lost connection), shown again when a passing sentence has gone. */
let lasting = "";

/** @param {string} sentence @param {"info" | "good" | "bad"} mood */
function show(sentence, mood) {
  text.textContent = sentence;
  banner.dataset.mood = mood;
  banner.hidden = false;
}

function hide() {
  clearTimeout(timer);
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
  show(sentence, mood);
  dismiss.hidden = mood !== "bad";
  if (mood !== "bad") timer = setTimeout(hide, SHOWN_MS);
}

/**
 * Say something that lasts; "" ends it.
 * @param {string} sentence
 */
export function sayWhile(sentence) {
  lasting = sentence;
  hide();
}

dismiss.addEventListener("click", hide);
