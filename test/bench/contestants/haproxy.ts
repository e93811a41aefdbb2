import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { find } from '../machine.ts'
import { freePort } from '../processes.ts'
import type { Contestant } from './contestant.ts'

const installed = find('haproxy')

export const haproxy: Contestant = {
  name: 'HAProxy',
  kind: 'proxy',
  available: () => (installed === undefined ? 'not installed: haproxy' : undefined),
  async start({ processes, upstream, folder }) {
    const port = await freePort()
    const file = join(folder, 'haproxy.cfg')
    writeFileSync(
      file,
      `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 10s
  timeout client 300s
  timeout server 300s
  http-reuse always
listen proxy
  bind 127.0.0.1:${port}
  http-request set-header Authorization "Bearer ${upstream.token}"
  server appliance 127.0.0.1:${upstream.port} ssl verify required verifyhost localhost ca-file ${upstream.ca}
`,
    )
    const started = processes.start('proxy', 'haproxy', [installed ?? '', '-db', '-f', file])
    return { ...started, url: `http://127.0.0.1:${port}` }
  },
}
