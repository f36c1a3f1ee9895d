// The sound of a call that waits: two soft tones, made here, so that nothing is fetched.

const TONES_HZ = [440, 554];
const EVERY_MS = 2500;
const TONE_S = 0.9;
const LOUDNESS = 0.08;

/** @type {{context: AudioContext, timer: number} | null} */
let ringing = null;

/** @param {AudioContext} context */
function ring(context) {
  for (const [index, frequency] of TONES_HZ.entries()) {
    const tone = context.createOscillator();
    const volume = context.createGain();
    const from = context.currentTime + (index * TONE_S) / 2;
    tone.frequency.value = frequency;
    volume.gain.setValueAtTime(0, from);
    volume.gain.linearRampToValueAtTime(LOUDNESS, from + 0.05);
    volume.gain.exponentialRampToValueAtTime(0.0001, from + TONE_S);
    tone.connect(volume).connect(context.destination);
    tone.start(from);
    tone.stop(from + TONE_S);
  }
}

/** Begin to ring; a browser that was not clicked yet stays silent, and the dialog tells all the same. */
export function startRinging() {
  if (ringing || !navigator.userActivation?.hasBeenActive) return;
  const context = new AudioContext();
  ring(context);
  ringing = { context, timer: setInterval(() => ring(context), EVERY_MS) };
}

/** Be silent. */
export function stopRinging() {
  if (!ringing) return;
  clearInterval(ringing.timer);
  void ringing.context.close();
  ringing = null;
}
