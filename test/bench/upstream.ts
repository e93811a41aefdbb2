import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createCertificate } from '../../src/simulator/certificate.ts'
import { answered } from './asking.ts'
import { find } from './machine.ts'
import { startNginx } from './nginx-process.ts'
import { freePort, type Processes, type Started } from './processes.ts'
import { program } from './site.ts'

export const SMALL = '/1k.json'
export const LARGE = '/64k.json'
export const STREAM = '/stream'
export const UPLOAD = '/upload'

/**
 * The appliance that everything is forwarded to, which costs little beside the proxy. It refuses whatever comes
 * without its token, and grants that token for a day at the token endpoint of an azure appliance.
 */
export interface Upstream {
  port: number
  origin: string
  token: string
  /** The file with its certificate, made for localhost and 127.0.0.1. */
  ca: string
  /** The body of `SMALL`. */
  small: string
  /** What it is, for the table. */
  title: string
}

const TOKEN = 'a-token-that-is-as-long-as-a-token-is-wont-to-be'.repeat(8)
const GRANTED = JSON.stringify({ access_token: TOKEN, token_type: 'bearer', expires_in: 86_400 })

/** @param stream bytes of the stream */
export async function startUpstream(processes: Processes, folder: string, stream: number): Promise<Upstream> {
  const { cert, key } = await createCertificate()
  const ca = join(folder, 'upstream.pem')
  const keyFile = join(folder, 'upstream.key')
  writeFileSync(ca, cert)
  writeFileSync(keyFile, key, { mode: 0o600 })
  const content = join(folder, 'content')
  mkdirSync(content)
  const small = json(1024)
  writeFileSync(join(content, SMALL), small)
  writeFileSync(join(content, LARGE), json(65_536))
  writeFileSync(join(content, STREAM), '')
  truncateSync(join(content, STREAM), stream)
  const port = await freePort()
  const origin = `https://127.0.0.1:${port}`
  const withNginx = find('nginx') !== undefined
  const parts = { content, port, ca, key: keyFile, token: TOKEN, granted: GRANTED }
  const { pid } = withNginx
    ? startNginxUpstream(processes, folder, parts)
    : processes.start('upstream', 'upstream', [process.execPath, program('upstream.mjs'), JSON.stringify(parts)])
  const upstream = { port, origin, token: TOKEN, ca, small, title: withNginx ? 'nginx' : 'Node.js' }
  const hopeless = () => (processes.isRunning(pid) ? undefined : `the upstream ended: ${processes.lastWords(pid)}`)
  await answered(`${origin}${SMALL}`, { bound: 10_000, token: TOKEN, ca: cert, hopeless })
  const refused = await answered(`${origin}${SMALL}`, { bound: 1_000, ca: cert, status: 401 })
  if (refused.status !== 401) throw new Error('the upstream answers without a token')
  return upstream
}

interface Parts {
  content: string
  port: number
  ca: string
  key: string
  token: string
  granted: string
}

/** nginx answers an upload before it has read it; a sink behind it does not. */
function startNginxUpstream(processes: Processes, folder: string, parts: Parts): Started {
  const sink = join(folder, 'sink.sock')
  processes.start('upstream', 'sink', [process.execPath, program('sink.mjs'), sink])
  const http = `
  map_hash_bucket_size 1024;
  map $http_authorization $refused { default 1; "Bearer ${parts.token}" 0; }
  types { application/json json; }
  open_file_cache max=16 inactive=1h;
  sendfile on;
  server {
    listen 127.0.0.1:${parts.port} ssl backlog=4096;
    ssl_certificate ${parts.ca};
    ssl_certificate_key ${parts.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    root ${parts.content};
    location = /api/oauth2/token { default_type application/json; return 200 '${parts.granted}'; }
    location / { if ($refused) { return 401; } }
    location = ${UPLOAD} {
      if ($refused) { return 401; }
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_pass http://unix:${sink};
    }
  }`
  return startNginx(processes, { role: 'upstream', name: 'upstream', folder, http })
}

/** A list as the appliances answer it, of exactly so many bytes. */
function json(size: number): string {
  const row = { id: '6745a759-2205-4cd2-b172-8ec8f7e60ef8', name: 'Backup', status: 'Success', isEnabled: true }
  const rows = Array.from({ length: Math.floor((size - 100) / (JSON.stringify(row).length + 1)) }, () => row)
  const bare = JSON.stringify({ results: rows, note: '' }).length
  return JSON.stringify({ results: rows, note: 'x'.repeat(size - bare) })
}
