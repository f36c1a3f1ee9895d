// v1 binds a message to nothing, so the client remembers every IV of a conversation and refuses one that comes again.

import { openSottoDatabase } from "./database.js";

/**
 * @typedef {{iv: string, messageId: string}} Entry
 * @typedef {{admit: (contactId: string, entries: Entry[]) => Promise<Map<string, boolean>>}} ReplayGuard
 */

/**
 * The guard of an account; where the browser gives no database, it remembers as long as the page lives.
 * @param {string} accountId
 * @returns {Promise<ReplayGuard>}
 */
export async function openReplayGuard(accountId) {
  const database = await openSottoDatabase(accountId);
  return { admit: database ? (id, entries) => admitInDatabase(database, id, entries) : admitInMemory(new Map()) };
}

/**
 * One transaction, so that two tabs agree on which message came first.
 * @param {import("idb").IDBPDatabase} database
 * @param {string} contactId
 * @param {Entry[]} entries
 * @returns {Promise<Map<string, boolean>>} message id → whether its IV is its own
 */
async function admitInDatabase(database, contactId, entries) {
  const transaction = database.transaction("seenIvs", "readwrite", { durability: "relaxed" });
  // All questions at once: one after the other they take as long as everything else about opening a page of messages.
  const known = await Promise.all(entries.map(({ iv }) => transaction.store.get([contactId, iv])));
  const owners = new Map(entries.map(({ iv }, index) => [iv, known[index]]));
  const admitted = new Map();
  for (const { iv, messageId } of entries) {
    const owner = owners.get(iv) ?? messageId;
    if (!owners.get(iv)) void transaction.store.put(messageId, [contactId, iv]);
    owners.set(iv, owner);
    admitted.set(messageId, owner === messageId);
  }
  await transaction.done;
  return admitted;
}

/** @param {Map<string, string>} seen @returns {ReplayGuard["admit"]} */
function admitInMemory(seen) {
  return async (contactId, entries) => {
    const admitted = new Map();
    for (const { iv, messageId } of entries) {
      const name = `${contactId}:${iv}`;
      const owner = seen.get(name) ?? messageId;
      seen.set(name, owner);
      admitted.set(messageId, owner === messageId);
    }
    return admitted;
  };
}
