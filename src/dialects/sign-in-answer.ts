/**
 * What an answer of a token endpoint said besides its secrets, for showing callers one that looks the same. The members
 * that hold tokens are there and empty, so that they keep their place; times show the form they are written in.
 */
export type SignInAnswer = Readonly<Record<string, string | number | boolean | null>>

/** Members that every caller waits for. */
const TOKENS = new Set(['access_token', 'refresh_token'])
/** Names under which a secret may stand that no document here knows of. */
const DOUBTFUL = /token|secret|passw|code|cookie|assertion|saml|redirect|forgery|csrf|session|key/i
/** No name, role or date of an answer is longer; a token is. */
const LONGEST = 128
const MOST = 64
/** A shorter text can stand in another one by chance. */
const SHORTEST = 6

/**
 * The answer without what could let anybody in: of members that no document tells of, only short plain ones stay.
 * @param secrets that stand in it
 */
export function withoutSecrets(body: object, secrets: readonly string[]): SignInAnswer {
  const holdsOne = (value: string): boolean =>
    secrets.some(secret => (value === secret && secret !== '') || (secret.length >= SHORTEST && value.includes(secret)))
  const kept = Object.entries(body)
    .slice(0, MOST)
    .flatMap(([name, value]): [string, string | number | boolean | null][] => {
      if (TOKENS.has(name)) return [[name, '']]
      if (name !== 'token_type' && (DOUBTFUL.test(name) || name.length > LONGEST)) return []
      if (typeof value === 'number' || typeof value === 'boolean' || value === null) return [[name, value]]
      if (typeof value !== 'string' || value.length > LONGEST) return []
      return holdsOne(value) ? [] : [[name, value]]
    })
  return Object.fromEntries(kept)
}
