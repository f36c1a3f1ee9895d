// What a message that brings a file says about it, read from its sealed part or from v1's clear one.

/**
 * @typedef {import("./files.js").FileInfo} FileInfo
 * @typedef {{caption: string, info: FileInfo | null, kind: "image" | "audio" | "video" | "file", name: string, fileUrl: string}} Attachment
 *   info: null for v1's form
 */

/** What an element of its own may show; SVG and HTML are files and never a document. */
const IMAGES = new Set(["image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "image/bmp"]);

/** Marks that turn the direction of what follows, with which exe.png can be gnp.exe; and what no name has. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const MISLEADING = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Far more than a server takes, and the end of what is a size or a length of time at all. */
const MAX_SIZE = 1e12;
const MAX_DURATION_S = 24 * 3600;

/** @param {unknown} number @param {number} most */
const isWithin = (number, most) => typeof number === "number" && number >= 0 && number <= most;

/** A file's name as it may be shown and saved. @param {string} name */
export const plainName = (name) => name.replace(MISLEADING, "") || "file";

/** A name in a line with other words, which keep their places whatever its script. @param {string} name */
export const isolated = (name) => `\u2068${name}\u2069`;

/** @param {string} type MIME @returns {Attachment["kind"]} */
export function kindOf(type) {
  if (IMAGES.has(type)) return "image";
  const [main] = type.split("/");
  return main === "audio" || main === "video" ? main : "file";
}

/** The text that is sealed in a message with a file. @param {string} caption @param {FileInfo} file */
export const sealedPart = (caption, file) => JSON.stringify({ sotto: "file", caption, file });

/**
 * @param {string} text the opened text of a message, "" when it had none
 * @param {{type: string, fileUrl: string, fileName: string}} clear what travelled in clear
 * @param {boolean} sealing whether both sides seal what is said about files: then nothing in clear is believed
 * @returns {Attachment | null} null when it is not well formed
 */
export function readAttachment(text, { type, fileUrl, fileName }, sealing) {
  const sealed = parse(text);
  if (sealed?.sotto !== "file") {
    if (sealing) return null;
    const kind = type === "image" || type === "audio" || type === "video" ? type : "file";
    return {
      caption: text,
      info: null,
      kind,
      name: plainName(fileName.replace(/^encrypted_(.+)\.json$/, "$1")),
      fileUrl,
    };
  }
  const info = sealed.file;
  const strings = [info?.key, info?.iv, info?.name, info?.type, info?.digest];
  const numbers = [info?.size, info?.chunk];
  const areWhole = numbers.every((one) => Number.isInteger(one) && isWithin(one, MAX_SIZE));
  if (!strings.every((one) => typeof one === "string") || !areWhole) return null;
  if (!isWithin(info.duration ?? 0, MAX_DURATION_S)) return null;
  const caption = typeof sealed.caption === "string" ? sealed.caption : "";
  return { caption, info, kind: kindOf(info.type), name: plainName(info.name), fileUrl };
}

/** Whether this is what Sotto seals besides words: shown as words, it was put there by somebody on the way. @param {string} text */
export function isNoText(text) {
  const sealed = parse(text);
  return sealed?.sotto === "file" || (typeof sealed?.callId === "string" && typeof sealed.kind === "string");
}

/** @param {string} text @returns {any} */
function parse(text) {
  if (!text.startsWith("{")) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
