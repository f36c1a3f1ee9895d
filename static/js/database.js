// The browser's database of one account: IVs that were seen, sealed messages that wait.

import { openDB } from "idb";

const VERSION = 1;

/**
 * Open the database of an account.
 * @param {string} accountId
 * @returns {Promise<import("idb").IDBPDatabase | null>} null where the browser gives none (some private modes)
 */
export async function openSottoDatabase(accountId) {
  try {
    return await openDB(`sotto:${accountId}`, VERSION, {
      upgrade(database) {
        database.createObjectStore("seenIvs"); // [contact id, iv as hex] → message id
        database.createObjectStore("outbox", { keyPath: "clientId" });
      },
    });
  } catch (fault) {
    if (fault instanceof DOMException) return null;
    throw fault;
  }
}
