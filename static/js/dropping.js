// Files held over the page: wherever they are dropped they go to the open conversation, and never to the browser.

const OWN = "application/x-sotto-own";
const page = document.body;

/** What the events came over last: as long as that is not left, the files are still here. @type {EventTarget | null} */
let over = null;

/** Text stays the browser's, and so is a file for an input that asks for one. @param {DragEvent} event */
function isOurs({ dataTransfer, target }) {
  const types = dataTransfer?.types ?? [];
  if (!types.includes("Files") || types.includes(OWN)) return false;
  return !(target instanceof HTMLInputElement && target.type === "file");
}

function end() {
  over = null;
  delete page.dataset.dropping;
}

/**
 * Begin.
 * @param {() => boolean} takes whether there is somebody to send files to
 * @param {(files: FileList) => void} offer
 */
export function startDropping(takes, offer) {
  const isWanted = () => takes() && document.querySelector("dialog[open]") === null;

  /** @param {DragEvent} event */
  function onOver(event) {
    if (!isOurs(event)) return end();
    event.preventDefault();
    over = event.target;
    const wanted = isWanted();
    if (event.dataTransfer) event.dataTransfer.dropEffect = wanted ? "copy" : "none";
    if (wanted) page.dataset.dropping = "true";
    else delete page.dataset.dropping;
  }

  addEventListener("dragenter", onOver);
  addEventListener("dragover", onOver);
  // The next place is entered before the last is left.
  addEventListener("dragleave", ({ target }) => target === over && end());
  // The pointer is silent while something is dragged; what lay under the files may have gone, and its dragleave with it.
  addEventListener("pointermove", end);
  addEventListener("drop", (event) => {
    end();
    if (!isOurs(event)) return;
    event.preventDefault();
    if (isWanted() && event.dataTransfer) offer(event.dataTransfer.files);
  });
  // A picture of the page that is dragged counts as a file, too.
  addEventListener("dragstart", ({ dataTransfer }) => dataTransfer?.setData(OWN, "own"));
}
