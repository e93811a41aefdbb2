import type { ServerResponse } from 'node:http'

/**
 * Sends the head of an answer before its body. `flushHeaders` writes it as UTF-8 in Node.js 20, two bytes for each that
 * the appliance sent outside ASCII (a file name, for one); with an empty text the coding can be said.
 */
export function flushHead(response: ServerResponse | undefined): void {
  response?.write('', 'latin1')
}
