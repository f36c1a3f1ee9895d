// The browser's databases. Of one account: IVs that were seen, sealed messages that wait. Of all: how often keys were written.

import { openDB } from "idb";

const VERSION = 1;

/**
 * @param {string} name
 * @param {(database: import("idb").IDBPDatabase) => void} make
 * @returns {Promise<import("idb").IDBPDatabase | null>} null where the browser gives none (some private modes)
 */
async function open(name, make) {
  try {
    return await openDB(name, VERSION, { upgrade: make });
  } catch (fault) {
    if (fault instanceof DOMException) return null;
    throw fault;
  }
}

/** Open the database of an account. @param {string} accountId */
export const openSottoDatabase = (accountId) =>
  open(`sotto:${accountId}`, (database) => {
    database.createObjectStore("seenIvs"); // [contact id, iv as hex] → message id
    database.createObjectStore("outbox", { keyPath: "clientId" });
  });

/** Open the database all accounts of this browser share. */
export const openSharedDatabase = () =>
  open("sotto", (database) => {
    database.createObjectStore("revisions"); // "keystore" → how often it was written
  });
