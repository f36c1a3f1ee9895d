// One WebRTC connection of a call: its tracks, its candidates, its health.

const GATHERED_MS = 4000;
const QUALITY_MS = 2000;

/**
 * @typedef {{onCandidate: (candidate: RTCIceCandidateInit | null) => void, onTrack: (event: RTCTrackEvent) => void,
 *   onState: (state: RTCPeerConnectionState) => void, onQuality: (quality: Quality) => void}} PeerEvents
 * @typedef {{lossPercent: number, roundTripMs: number, level: "good" | "fair" | "poor"}} Quality
 */

/**
 * The servers of this Sotto, none by default; “hide my address” allows relays only.
 * @param {boolean} relayOnly
 * @returns {Promise<{iceServers: RTCIceServer[], iceTransportPolicy: RTCIceTransportPolicy}>} rejects with TypeError when offline
 */
export async function iceConfiguration(relayOnly) {
  const answer = await fetch("/api/ice");
  const { iceServers, iceTransportPolicy } = answer.ok
    ? await answer.json()
    : { iceServers: [], iceTransportPolicy: "all" };
  return { iceServers, iceTransportPolicy: relayOnly ? "relay" : iceTransportPolicy };
}

/** Whether there is a server that carries calls. @param {RTCConfiguration} configuration */
export const hasRelay = ({ iceServers = [] }) => iceServers.some(({ credential }) => credential);

export class Peer {
  /** @param {RTCConfiguration} configuration @param {MediaStream} stream @param {PeerEvents} events */
  constructor(configuration, stream, events) {
    this.connection = new RTCPeerConnection(configuration);
    this.events = events;
    /** Candidates that came before the description they belong to. @type {RTCIceCandidateInit[]} */
    this.early = [];
    this.lost = { packets: 0, lost: 0 };
    for (const track of stream.getTracks()) this.connection.addTrack(track, stream);
    // A place for video from the start: switching the camera on later then needs no new description.
    this.video = this.connection.addTransceiver("video", { direction: "sendrecv" });
    this.connection.addEventListener("icecandidate", ({ candidate }) =>
      events.onCandidate(candidate?.toJSON() ?? null),
    );
    this.connection.addEventListener("track", events.onTrack);
    this.connection.addEventListener("connectionstatechange", () => events.onState(this.connection.connectionState));
    this.timer = setInterval(() => void this.measure(), QUALITY_MS);
  }

  /** @param {boolean} [restart] look for new ways through the network @returns {Promise<string>} SDP */
  async offer(restart = false) {
    await this.connection.setLocalDescription(await this.connection.createOffer({ iceRestart: restart }));
    return this.description;
  }

  /** @param {string} sdp the offer @returns {Promise<string>} SDP of the answer */
  async answer(sdp) {
    await this.connection.setRemoteDescription({ type: "offer", sdp });
    // The answerer's own transceiver did not exist in the offer: the offered one takes its place.
    const offered = this.connection
      .getTransceivers()
      .find((one) => one.receiver.track.kind === "video" && one.mid !== null);
    if (offered) {
      offered.direction = "sendrecv";
      this.video = offered;
    }
    await this.connection.setLocalDescription(await this.connection.createAnswer());
    await this.addEarly();
    return this.description;
  }

  /** The local description, with the candidates that were found so far. @returns {string} SDP */
  get description() {
    return this.connection.localDescription?.sdp ?? "";
  }

  /** Whether an offer of mine is out. */
  get awaitsAnswer() {
    return this.connection.signalingState === "have-local-offer";
  }

  /** @param {string} sdp the answer */
  async accept(sdp) {
    await this.connection.setRemoteDescription({ type: "answer", sdp });
    await this.addEarly();
  }

  /** @param {RTCIceCandidateInit | null | undefined} candidate */
  async addCandidate(candidate) {
    if (!candidate) return;
    if (!this.connection.remoteDescription) {
      this.early.push(candidate);
      return;
    }
    try {
      await this.connection.addIceCandidate(candidate);
    } catch (fault) {
      // One way that cannot be read, or comes when all is over, is one way less; the others count still.
      if (!(fault instanceof DOMException || fault instanceof TypeError)) throw fault;
    }
  }

  async addEarly() {
    for (const candidate of this.early.splice(0)) await this.addCandidate(candidate);
  }

  /** The local description with its candidates in it, for clients that cannot take them one by one. @returns {Promise<string>} SDP */
  async gathered() {
    const done = () => this.connection.iceGatheringState === "complete";
    if (!done()) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, GATHERED_MS);
        this.connection.addEventListener("icegatheringstatechange", () => {
          if (!done()) return;
          clearTimeout(timer);
          resolve(undefined);
        });
      });
    }
    return this.description;
  }

  /** @param {MediaStreamTrack | null} track null switches the camera off */
  async sendVideo(track) {
    await this.video.sender.replaceTrack(track);
  }

  /** @param {MediaStreamTrack} track */
  async sendAudio(track) {
    await this.connection
      .getSenders()
      .find((sender) => sender.track?.kind === "audio")
      ?.replaceTrack(track);
  }

  async measure() {
    let [packets, lost, roundTripMs] = [0, 0, 0];
    for (const entry of (await this.connection.getStats()).values()) {
      if (entry.type === "inbound-rtp") {
        packets += entry.packetsReceived ?? 0;
        lost += entry.packetsLost ?? 0;
      }
      if (entry.type === "candidate-pair" && entry.nominated) roundTripMs = (entry.currentRoundTripTime ?? 0) * 1000;
    }
    const [newPackets, newLost] = [packets - this.lost.packets, lost - this.lost.lost];
    this.lost = { packets, lost };
    if (newPackets + newLost === 0) return;
    const lossPercent = (100 * newLost) / (newPackets + newLost);
    const level =
      lossPercent > 8 || roundTripMs > 500 ? "poor" : lossPercent > 3 || roundTripMs > 250 ? "fair" : "good";
    this.events.onQuality({ lossPercent, roundTripMs, level });
  }

  close() {
    clearInterval(this.timer);
    this.connection.close();
  }
}
