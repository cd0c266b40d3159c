// The server, as the page reaches it: its REST paths and its socket, with the token of
// this tab.

const TOKEN = "nodetool.token";
const RETRY_MS = [500, 15_000]; // first and longest pause before a new connection
const QUIET_MS = 20_000; // after this silence the page asks whether anybody is there
const UNAUTHORIZED = 1008;

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  keep: (text) => sessionStorage.setItem(TOKEN, text),
  forget: () => sessionStorage.removeItem(TOKEN),
};

/** The server knows no user of this tab. */
export class SignInNeeded extends Error {}

/** Ask a REST path; `body` is sent as JSON. Throws with the server's words. */
export async function ask(method, path, body) {
  const headers = token.get() ? { Authorization: `Bearer ${token.get()}` } : {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { method, headers, body: JSON.stringify(body) });
  if (response.status === 401) throw new SignInNeeded();
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ?? answer.error?.message ?? response.statusText);
  return answer;
}

export const get = (path) => ask("GET", path);

// Not randomUUID: browsers offer it on https and on this machine alone.
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** One socket that comes back by itself while somebody wants it. */
export class Connection {
  #socket = null;
  #retry = 0;
  #tries = 0;
  #heard = 0;
  #isWanted = false;

  constructor({ onOpen, onMessage, onState, onRefused }) {
    Object.assign(this, { onOpen, onMessage, onState, onRefused });
    setInterval(() => this.#watch(), QUIET_MS / 2);
    addEventListener("online", () => this.#isWanted && this.#openNow());
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  want() {
    this.#isWanted = true;
    if (this.isOpen) this.onOpen();
    else if (!this.#socket && !this.#retry) this.#openNow();
  }

  /** Follow nothing any more; a socket that is open may stay. */
  rest() {
    this.#isWanted = false;
    this.#stopRetry();
    this.onState("");
  }

  close() {
    this.rest();
    this.#forget();
  }

  send(command, data) {
    if (this.isOpen) this.#socket.send(JSON.stringify({ command, data }));
    return this.isOpen;
  }

  #openNow() {
    this.#stopRetry();
    this.#forget();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const query = token.get() ? `?api_key=${encodeURIComponent(token.get())}` : "";
    const socket = new WebSocket(`${scheme}://${location.host}/ws${query}`);
    this.#socket = socket;
    this.#heard = Date.now();
    socket.onopen = () => {
      this.onState("Connected");
      this.onOpen();
    };
    socket.onmessage = (event) => {
      this.#tries = 0;
      this.#heard = Date.now();
      this.onMessage(JSON.parse(event.data));
    };
    socket.onclose = (event) => {
      this.#forget();
      if (event.code === UNAUTHORIZED) this.onRefused();
      else this.#later();
    };
  }

  #later() {
    if (!this.#isWanted) return;
    const [first, longest] = RETRY_MS;
    const pause = Math.min(longest, first * 2 ** this.#tries++);
    this.onState("Connection lost, trying again…");
    this.#retry = setTimeout(() => this.#openNow(), pause * (0.5 + Math.random() / 2));
  }

  #stopRetry() {
    clearTimeout(this.#retry);
    this.#retry = 0;
  }

  #forget() {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /** A network that is gone closes no socket: whoever hears nothing asks, then leaves. */
  #watch() {
    if (!this.#isWanted || !this.isOpen) return;
    const silence = Date.now() - this.#heard;
    if (silence > 2 * QUIET_MS) {
      this.#forget();
      this.#later();
    } else if (silence > QUIET_MS) {
      this.send("ping", {});
    }
  }
}
