/** `*` stands for any text, `?` for one character. `questionMark: false` takes `?` literally. Never slower than pattern times text. */
export function matchesGlob(pattern: string, text: string, { questionMark = true } = {}): boolean {
  const isSame = (p: number, t: number) => (pattern[p] === '?' && questionMark) || pattern[p] === text[t];
  let p = 0;
  let t = 0;
  // Where the last `*` stands, and how far it reaches.
  let star = -1;
  let reach = 0;
  while (t < text.length) {
    if (pattern[p] === '*') {
      star = p++;
      reach = t;
    } else if (p < pattern.length && isSame(p, t)) {
      p += 1;
      t += 1;
    } else if (star >= 0) {
      p = star + 1;
      t = ++reach;
    } else return false;
  }
  while (pattern[p] === '*') p += 1;
  return p === pattern.length;
}
