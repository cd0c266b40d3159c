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

/** There is no way to the server at the moment, or it is not ready. */
export class Unreachable extends Error {}

/** The server has said no, in its own words; `status` is HTTP's. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Ask a REST path; `body` is sent as JSON. Throws SignInNeeded, Unreachable or Refused. */
export async function ask(method, path, body) {
  const headers = token.get() ? { Authorization: `Bearer ${token.get()}` } : {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const { status, statusText, ok, answer } = await fetchJson(path, { method, headers, body: JSON.stringify(body) });
  if (status === 401) throw new SignInNeeded();
  if (status === 503) throw new Unreachable(answer.detail ?? statusText);
  if (!ok) throw new Refused(answer.detail ?? statusText, status);
  return answer;
}

async function fetchJson(path, options) {
  try {
    const response = await fetch(path, options);
    const { status, statusText, ok } = response;
    return { status, statusText, ok, answer: await response.json() };
  } catch (error) {
    throw new Unreachable(`The server cannot be reached: ${error.message}`);
  }
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

  /** Leave a connection of which the other end has not what is needed, and try another. */
  again() {
    this.#forget();
    this.#later();
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
      this.again();
    } else if (silence > QUIET_MS) {
      this.send("ping", {});
    }
  }
}
