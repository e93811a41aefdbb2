import { join } from 'node:path'
import { find } from '../machine.ts'
import { freePort } from '../processes.ts'
import { program } from '../site.ts'
import type { Contestant } from './contestant.ts'

const installed = find('mitmdump')

export const mitmproxy: Contestant = {
  name: 'mitmproxy',
  kind: 'proxy',
  available: () => (installed === undefined ? 'not installed: mitmdump' : undefined),
  async start({ processes, upstream, folder }) {
    const port = await freePort()
    const settings = [
      `confdir=${join(folder, 'mitmproxy')}`,
      `ssl_verify_upstream_trusted_ca=${upstream.ca}`,
      'stream_large_bodies=1m',
    ]
    const address = ['--listen-host', '127.0.0.1', '--listen-port', String(port)]
    const command = [
      installed ?? '',
      '-q',
      '-s',
      program('authorize.py'),
      '--mode',
      `reverse:${upstream.origin}`,
      ...address,
    ]
    const words = [...command, ...settings.flatMap(word => ['--set', word])]
    const started = processes.start('proxy', 'mitmproxy', words, { TOKEN: upstream.token })
    return { ...started, url: `http://127.0.0.1:${port}` }
  },
}
