/** The HTTP calls of the finished page: the sign-in or a token in the address opens. */

import { ApiError } from "../api.js";

export class Desk {
  /** `url` is /api/sessions/{id}. */
  constructor({ url, token, csrf, patienceMs = 20000 }) {
    Object.assign(this, { url, token, csrf, patienceMs });
  }

  address(path) {
    const url = new URL(`${this.url}${path}`, location.href);
    if (this.token) url.searchParams.set("token", this.token);
    return url;
  }

  get(path) {
    return this.call("GET", path);
  }

  post(path, body = {}) {
    return this.call("POST", path, body);
  }

  patch(path, body) {
    return this.call("PATCH", path, body);
  }

  drop(path) {
    return this.call("DELETE", path);
  }

  /** Raises ApiError; TypeError or so without a network. */
  async call(method, path, body) {
    const headers = { Accept: "application/json" };
    if (method !== "GET") headers["X-CSRFToken"] = this.csrf;
    if (body) headers["Content-Type"] = "application/json";
    const answer = await fetch(this.address(path), {
      method,
      headers,
      body: body && JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(this.patienceMs),
    });
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new ApiError(answer.status, told);
    return told;
  }

  /** The lines of the transcript as they come, some hundred at a time. */
  async *lines() {
    const answer = await fetch(this.address("/transcript.jsonl"), { cache: "no-store" });
    if (!answer.ok) {
      throw new ApiError(answer.status, await answer.json().catch(() => ({})));
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      if (parts.length) yield parts.map((part) => JSON.parse(part));
    }
    if (rest.trim()) yield [JSON.parse(rest)];
  }
}
