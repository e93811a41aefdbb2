import { find } from '../machine.ts'
import { startNginx } from '../nginx-process.ts'
import { freePort } from '../processes.ts'
import type { Contestant } from './contestant.ts'

export const nginx: Contestant = {
  name: 'nginx',
  kind: 'proxy',
  available: () => (find('nginx') === undefined ? 'not installed: nginx' : undefined),
  async start({ processes, upstream, folder }) {
    const port = await freePort()
    // Nothing may be spooled to a disk: the others stream, too.
    const http = `
  proxy_request_buffering off;
  proxy_max_temp_file_size 0;
  upstream appliance { server 127.0.0.1:${upstream.port}; keepalive 256; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass https://appliance;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host 127.0.0.1:${upstream.port};
      proxy_set_header Authorization "Bearer ${upstream.token}";
      proxy_ssl_protocols TLSv1.2 TLSv1.3;
      proxy_ssl_verify on;
      proxy_ssl_name localhost;
      proxy_ssl_trusted_certificate ${upstream.ca};
    }
  }`
    const started = startNginx(processes, { role: 'proxy', name: 'nginx', folder, http })
    return { ...started, url: `http://127.0.0.1:${port}` }
  },
}
