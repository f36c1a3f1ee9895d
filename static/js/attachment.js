// What a message that brings a file says about it, read from its sealed part or from v1's clear one.

/**
 * @typedef {import("./files.js").FileInfo} FileInfo
 * @typedef {{caption: string, info: FileInfo | null, kind: "image" | "audio" | "video" | "file", name: string, fileUrl: string}} Attachment
 *   info: null for v1's form
 */

/** What an element of its own may show; SVG and HTML are files and never a document. */
const IMAGES = new Set(["image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "image/bmp"]);

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
 * @returns {Attachment | null} null when it is not well formed
 */
export function readAttachment(text, { type, fileUrl, fileName }) {
  const sealed = parse(text);
  if (sealed?.sotto !== "file") {
    const kind = type === "image" || type === "audio" || type === "video" ? type : "file";
    return {
      caption: text,
      info: null,
      kind,
      name: fileName.replace(/^encrypted_(.+)\.json$/, "$1") || "file",
      fileUrl,
    };
  }
  const info = sealed.file;
  const strings = [info?.key, info?.iv, info?.name, info?.type, info?.digest];
  const numbers = [info?.size, info?.chunk];
  if (!strings.every((one) => typeof one === "string") || !numbers.every((one) => Number.isInteger(one) && one >= 0)) {
    return null;
  }
  const caption = typeof sealed.caption === "string" ? sealed.caption : "";
  return { caption, info, kind: kindOf(info.type), name: info.name, fileUrl };
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
