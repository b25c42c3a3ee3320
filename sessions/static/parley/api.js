/** The few HTTP calls a page makes. */

/** The server's answer was an error: `status`, `code` and a message for people. */
export class ApiError extends Error {
  constructor(status, { code = "failed", message = "The server cannot do that." }) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export class Api {
  /** `url` is /api/sessions/{id}; a token opens it, or else the sign-in does. */
  constructor({ url, token, csrf, patienceMs = 8000 }) {
    Object.assign(this, { url, token, csrf, patienceMs });
  }

  /** The session as it is now. Raises ApiError; TypeError or so without a network. */
  read() {
    return this.call("GET", this.url);
  }

  end() {
    return this.call("POST", `${this.url}/end`);
  }

  async call(method, url) {
    const headers = { Accept: "application/json" };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    else if (method !== "GET") headers["X-CSRFToken"] = this.csrf;
    const signal = AbortSignal.timeout(this.patienceMs);
    const answer = await fetch(url, { method, headers, signal, cache: "no-store" });
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new ApiError(answer.status, body);
    return body;
  }
}
