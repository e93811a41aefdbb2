import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { find } from '../machine.ts'
import { freePort } from '../processes.ts'
import type { Contestant } from './contestant.ts'

const installed = find('caddy')

export const caddy: Contestant = {
  name: 'Caddy',
  kind: 'proxy',
  available: () => (installed === undefined ? 'not installed: caddy' : undefined),
  async start({ processes, upstream, folder }) {
    const port = await freePort()
    const file = join(folder, 'Caddyfile')
    writeFileSync(
      file,
      `{
  admin off
  auto_https off
}
http://127.0.0.1:${port} {
  bind 127.0.0.1
  reverse_proxy https://127.0.0.1:${upstream.port} {
    header_up Authorization "Bearer ${upstream.token}"
    transport http {
      tls_trusted_ca_certs ${upstream.ca}
      keepalive_idle_conns_per_host 256
    }
  }
}
`,
    )
    const command = [installed ?? '', 'run', '--config', file, '--adapter', 'caddyfile']
    const started = processes.start('proxy', 'caddy', command, { XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder })
    return { ...started, url: `http://127.0.0.1:${port}` }
  },
}
