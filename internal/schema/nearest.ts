// "Did you mean": the known word that differs least from one that is not known.

/**
 * The known word that `word` begins (the shortest of them), else the one with the fewest mistakes (a letter too many, too
 * few, wrong, or two exchanged), when these are few for its length. Case, `-` and `_` do not count.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const target = plain(word);
  if (target === '') return undefined;
  const begun = target.length < 2 ? [] : known.filter(name => plain(name).startsWith(target));
  if (begun.length > 0) return begun.reduce((best, name) => (name.length < best.length ? name : best));
  let best: string | undefined;
  let least = Math.max(1, Math.floor(target.length / 4)) + 1;
  for (const name of known) {
    const mistakes = distance(plain(name), target);
    // A word of two letters is one mistake away from any other.
    if (mistakes < least && mistakes < Math.min(name.length, target.length)) {
      best = name;
      least = mistakes;
    }
  }
  return best;
}

function plain(text: string): string {
  return text.toLowerCase().replaceAll(/[-_]/g, '');
}

/** Optimal string alignment: edits, and exchanges of neighbours. */
function distance(a: string, b: string): number {
  let before: readonly number[] = [];
  let row: readonly number[] = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let fewest = Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        fewest = Math.min(fewest, (before[j - 2] ?? 0) + 1);
      next.push(fewest);
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
