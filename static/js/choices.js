// What a person chose in the settings of this browser; each account has its own.

import { me } from "./session.js";

/** @typedef {"relayOnly" | "readPrivately"} Choice */

/** @param {Choice} choice */
const nameOf = (choice) => `${choice}:${me.customId}`;

/** Whether it was chosen. @param {Choice} choice */
export const chose = (choice) => localStorage.getItem(nameOf(choice)) === "yes";

/** @param {Choice} choice @param {boolean} yes */
export const choose = (choice, yes) => localStorage.setItem(nameOf(choice), yes ? "yes" : "no");
