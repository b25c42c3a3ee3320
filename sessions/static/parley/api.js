/** The few HTTP calls a page makes. */

const READ = "GET";

/** The server's answer was an error: `status`, `code` and a message for people. */
export class ApiError extends Error {
  constructor(status, { code = "failed", message = "The server cannot do that." }) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export class Api {
  /** `url` is /api/sessions/{id}; a token opens it, or else the sign-in does. Only a
   * sign-in changes it. */
  constructor({ url, token, csrf, patienceMs = 8000 }) {
    Object.assign(this, { url, token, csrf, patienceMs });
  }

  /** The session as it is now. Raises ApiError; TypeError or so without a network. */
  read() {
    return this.call(READ, this.url);
  }

  end() {
    return this.call("POST", `${this.url}/end`);
  }

  /** Nothing more of these streams is taken, and what was said over them deleted. */
  forget(streams) {
    return this.call("POST", `${this.url}/forget-me`, { streams });
  }

  /** Whether its report comes by mail. */
  subscription() {
    return this.call(READ, `${this.url}/subscription`, null, { token: "" });
  }

  subscribe(isOn) {
    return this.call(isOn ? "POST" : "DELETE", `${this.url}/subscription`);
  }

  /** Whoever has a token reads with it; `token: ""`: as whoever is signed in. */
  async call(method, url, data, { token = this.token } = {}) {
    const headers = { Accept: "application/json" };
    if (data) headers["Content-Type"] = "application/json";
    if (method !== READ) headers["X-CSRFToken"] = this.csrf;
    else if (token) headers.Authorization = `Bearer ${token}`;
    const signal = AbortSignal.timeout(this.patienceMs);
    const body = data && JSON.stringify(data);
    const asked = { method, headers, body, signal, cache: "no-store" };
    const answer = await fetch(url, asked);
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new ApiError(answer.status, told);
    return told;
  }
}
