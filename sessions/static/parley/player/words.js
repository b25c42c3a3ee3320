/** Which words of a line are said when: also of one that was corrected. Pure. */

/** [{text, start, end}] in ms: together they are the line's text, word by word. */
export function timed(line) {
  const texts = line.text.split(/\s+/).filter(Boolean);
  const heard = line.words ?? [];
  const [head, tail] = [shared(texts, heard), shared(texts, heard, true)];
  const front = Math.min(head, texts.length, heard.length);
  const back = Math.min(tail, texts.length - front, heard.length - front);
  const same = front + back >= texts.length && texts.length === heard.length;
  if (same || texts.length === heard.length) {
    return texts.map((text, i) => at(text, heard[i]));
  }
  const middle = texts.slice(front, texts.length - back);
  const from = front ? heard[front - 1].end_ms : line.start_ms;
  const to = back ? heard[heard.length - back].start_ms : line.end_ms;
  return [
    ...texts.slice(0, front).map((text, i) => at(text, heard[i])),
    ...spread(middle, from, Math.max(from, to)),
    ...texts
      .slice(texts.length - back)
      .map((text, i) => at(text, heard[heard.length - back + i])),
  ];
}

/** The index of the word that is being said, -1 before the first. */
export function current(words, ms) {
  let found = -1;
  for (let i = 0; i < words.length && words[i].start <= ms; i += 1) found = i;
  return found;
}

function at(text, word) {
  return { text, start: word.start_ms, end: word.end_ms };
}

/** How many words at the beginning (or the end) are what was heard. */
function shared(texts, heard, fromEnd = false) {
  const most = Math.min(texts.length, heard.length);
  const pick = (list, i) => (fromEnd ? list[list.length - 1 - i] : list[i]);
  let count = 0;
  while (count < most && bare(pick(texts, count)) === bare(pick(heard, count).word)) {
    count += 1;
  }
  return count;
}

function bare(word) {
  return word.toLocaleLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
}

/** Words nobody timed: by their length between two moments. */
function spread(texts, from, to) {
  const total = texts.reduce((sum, text) => sum + text.length + 1, 0) || 1;
  let passed = 0;
  return texts.map((text) => {
    const start = from + ((to - from) * passed) / total;
    passed += text.length + 1;
    return { text, start, end: from + ((to - from) * passed) / total };
  });
}
