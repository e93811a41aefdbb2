import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { find, type Role } from './machine.ts'
import type { Processes, Started } from './processes.ts'

/** Starts nginx with one worker in a folder of its own; `http` is the inside of its http block. */
export function startNginx(
  processes: Processes,
  { role, name, folder, http }: { role: Role; name: string; folder: string; http: string },
): Started {
  const nginx = find('nginx')
  if (nginx === undefined) throw new Error('nginx is not installed')
  const home = join(folder, name)
  mkdirSync(home, { recursive: true })
  const file = join(home, 'nginx.conf')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${kind};`)
  writeFileSync(
    file,
    `${process.getuid?.() === 0 ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_max_body_size 0;
  ${temporary.join('\n  ')}
${http}
}
`,
  )
  return processes.start(role, name, [nginx, '-e', 'stderr', '-p', home, '-c', file])
}
