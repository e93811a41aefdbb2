/** Options of the commands that talk to a running proxy. */
export const locating = [
  { flags: '--url <url>', description: 'where the proxy is, such as http://127.0.0.1:8080 (otherwise HOST and PORT)' },
  { flags: '--config <path>', description: 'configuration file whose listen says where the proxy is (CONFIG)' },
] as const
