import { distance } from 'fastest-levenshtein'

/** The known word that was probably meant, undefined when none is near. */
export function nearest(given: string, known: readonly string[]): string | undefined {
  const scored = known
    .map(word => ({ word, far: distance(given.toLowerCase(), word.toLowerCase()), limit: limitOf(word) }))
    .filter(({ word, far, limit }) => far <= limit || isBeginning(given, word))
    .sort((a, b) => a.far - b.far)
  return scored[0]?.word
}

/** Three slips, fewer in a short word: every word of four letters is near every other. */
function limitOf(word: string): number {
  return Math.min(3, Math.ceil(word.length / 2))
}

function isBeginning(given: string, word: string): boolean {
  return given.length >= 3 && (word.startsWith(given) || given.startsWith(word))
}
