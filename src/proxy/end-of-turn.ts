import type { ServerResponse } from 'node:http'

let responses: ServerResponse[] = []
let texts: string[] = []

/**
 * Ends an answer with a small body, in latin1, at the end of this turn of the event loop, together with all others that
 * have become whole in it. A caller that is woken by the first write finds the rest there; to be woken for each by itself
 * was a tenth of forwarding, on the proxy's own account.
 */
export function endWithOthers(response: ServerResponse, text: string): void {
  if (responses.length === 0) setImmediate(endAll)
  responses.push(response)
  texts.push(text)
}

function endAll(): void {
  const all = responses
  const bodies = texts
  responses = []
  texts = []
  for (const [i, response] of all.entries()) {
    // Its caller may have left since.
    if (!response.destroyed && !response.writableEnded) response.end(bodies[i], 'latin1')
  }
}
