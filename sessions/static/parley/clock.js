/** Times for people: positions in a talk and how long it has lasted. Pure. */

/** 65000 → "1:05", 3665000 → "1:01:05". */
export function position(ms) {
  const total = Math.max(0, Math.floor(ms / 1000));
  const parts = [Math.floor(total / 60) % 60, total % 60];
  const hours = Math.floor(total / 3600);
  const padded = parts.map((part) => String(part).padStart(2, "0"));
  if (!hours) return `${parts[0]}:${padded[1]}`;
  return `${hours}:${padded[0]}:${padded[1]}`;
}

/** "1 second", "12 seconds". */
export function seconds(s) {
  const whole = Math.max(1, Math.round(s));
  return `${whole} ${whole === 1 ? "second" : "seconds"}`;
}
