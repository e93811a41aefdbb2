import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { find } from '../machine.ts'
import { freePort } from '../processes.ts'
import { program } from '../site.ts'
import type { Contestant } from './contestant.ts'

const compiler = find('go')
/** The first build compiles the standard library, too. */
const BUILD_BOUND = 180_000

export const go: Contestant = {
  name: 'Go ReverseProxy',
  kind: 'proxy',
  available: () => (compiler === undefined ? 'not installed: go' : undefined),
  async start({ processes, upstream, folder }) {
    const binary = join(folder, 'go-reverse-proxy')
    if (!existsSync(binary)) {
      const build = [compiler ?? '', 'build', '-o', binary, program('reverse-proxy.go')]
      await processes.run('load', build, BUILD_BOUND, { GO111MODULE: 'off', CGO_ENABLED: '0' })
    }
    const port = await freePort()
    const words = [`127.0.0.1:${port}`, upstream.origin, upstream.token, upstream.ca]
    return { ...processes.start('proxy', 'go', [binary, ...words]), url: `http://127.0.0.1:${port}` }
  },
}
