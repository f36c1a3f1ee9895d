// The settings dialog: backup of the keys, and bringing one back.

import { choose, chose } from "./choices.js";
import { contactOf, read, update } from "./keystore.js";
import { fetched } from "./later.js";
import { fromTemplate, part } from "./session.js";
import { say } from "./status.js";

const SAVED_MS = 60_000;

const dialog = /** @type {HTMLDialogElement} */ (part("#settings"));
const passphrase = /** @type {HTMLInputElement} */ (part("#export-passphrase"));
const file = /** @type {HTMLInputElement} */ (part("#import-file"));
const importPassphrase = /** @type {HTMLInputElement} */ (part("#import-passphrase"));
const passphraseField = part("#import-passphrase-field");
const conflicts = part("#import-conflicts");
const result = part("#import-result");

/** The code of backups is fetched with the first one, not with the page. */
const backups = () => import("./backup.js");

/** @type {import("./backup.js").Backup | null} */
let backup = null;

/** @param {string} text @param {string} name */
function download(text, name) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), SAVED_MS);
}

/** @param {Event} event */
async function onExport(event) {
  event.preventDefault();
  const secret = passphrase.value;
  if (secret && secret.length < 8) {
    passphrase.setCustomValidity("At least 8 characters.");
    passphrase.reportValidity();
    return;
  }
  const book = read();
  if (Object.keys(book.keys).length === 0) {
    say("There are no keys to export yet: exchange keys with somebody first.", "bad");
    return;
  }
  const { exportPlain, exportSealed } = await backups();
  if (secret) download(await exportSealed(secret, book), "sotto-backup.json");
  else download(exportPlain(book), "encryption_keys_backup.json");
  passphrase.value = "";
  onPassphrase();
  say(secret ? "Keys exported, sealed with your passphrase." : "Keys exported in clear: keep this file safe.", "good");
}

function onPassphrase() {
  passphrase.setCustomValidity("");
  part("#export-warning").hidden = passphrase.value !== "";
}

function forget() {
  backup = null;
  passphraseField.hidden = true;
  conflicts.hidden = true;
  importPassphrase.value = "";
}

/** @param {import("./backup.js").ImportFault} fault */
function explain(fault) {
  result.textContent = fault.message;
  result.dataset.mood = "bad";
}

/** @param {string} [secret] */
async function open(secret) {
  const chosen = file.files?.[0];
  if (!chosen) return;
  result.textContent = "";
  const { ImportFault, planMerge, readBackup } = await backups();
  try {
    backup = await readBackup(await chosen.text(), secret);
  } catch (fault) {
    if (!(fault instanceof ImportFault)) throw fault;
    if (fault.reason === "needs_passphrase") {
      passphraseField.hidden = false;
      importPassphrase.focus();
    }
    return explain(fault);
  }
  passphraseField.hidden = true;
  const plan = planMerge(read(), backup);
  if (plan.conflicts.length === 0) return apply();
  part(".conflicts", conflicts).replaceChildren(...plan.conflicts.map(conflictRow));
  conflicts.hidden = false;
}

/** @param {string} id */
function conflictRow(id) {
  const row = fromTemplate("conflict-row");
  part("input", row).dataset.id = id;
  part(".name", row).textContent = contactOf(read(), id)?.username ?? id;
  return row;
}

async function apply() {
  if (!backup) return;
  const content = backup;
  const { applyMerge, planMerge } = await backups();
  const chosen = [...conflicts.querySelectorAll("input:checked")].map(
    (box) => /** @type {HTMLElement} */ (box).dataset.id ?? "",
  );
  const plan = await update((book) => {
    const before = planMerge(book, content);
    applyMerge(book, content, { replace: new Set(chosen) });
    return before;
  });
  forget();
  file.value = "";
  result.dataset.mood = "good";
  const count = plan.added.length + plan.conflicts.length;
  result.textContent =
    count === 0 ? "These keys were all here already." : `Imported keys for ${count} contact${count === 1 ? "" : "s"}.`;
}

/** @param {string} selector @param {import("./choices.js").Choice} choice */
function bindChoice(selector, choice) {
  const box = /** @type {HTMLInputElement} */ (part(selector));
  box.checked = chose(choice);
  box.addEventListener("change", () => {
    choose(choice, box.checked);
    showChoices();
    if (choice === "relayOnly" && box.checked) void warnWithoutRelay();
  });
}

async function warnWithoutRelay() {
  const peer = await fetched(import("./peer.js"));
  if (peer && !peer.hasRelay(await peer.iceConfiguration(true))) {
    say("This server has no relay: while your address is hidden, you cannot make or take calls.", "bad");
  }
}

/** The style sheets show what is read as delivered to who does not tell what they read. */
function showChoices() {
  document.body.toggleAttribute("data-read-privately", chose("readPrivately"));
}

/** Begin. */
export function startSettings() {
  bindChoice("#relay-only", "relayOnly");
  bindChoice("#read-privately", "readPrivately");
  showChoices();
  for (const opener of document.querySelectorAll("[data-open-settings]")) {
    opener.addEventListener("click", () => {
      dialog.showModal();
      const where = /** @type {HTMLElement} */ (opener).dataset.openSettings;
      if (where === "export") passphrase.focus();
      if (where === "import") file.focus();
    });
  }
  part("[data-close]", dialog).addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    forget();
    result.textContent = "";
    file.value = "";
    passphrase.value = "";
    onPassphrase();
  });
  passphrase.addEventListener("input", onPassphrase);
  part("#export-form").addEventListener("submit", (event) => void onExport(event));
  file.addEventListener("change", () => {
    forget();
    void open();
  });
  part("#import-form").addEventListener("submit", (event) => {
    event.preventDefault();
    void open(importPassphrase.value);
  });
  part("#import-apply").addEventListener("click", () => void apply());
}
