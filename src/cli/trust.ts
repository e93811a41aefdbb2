import { createInterface } from 'node:readline'
import type { Certificate, ShownChain } from '../upstream/trust.ts'
import { type Call, type Command, CommandError, type Io, print, textOf, UsageError } from './command.ts'
import { withProgress } from './progress.ts'

/** Milliseconds for looking at a certificate. */
const INSPECTION = 10_000

export const trust: Command = {
  name: 'trust',
  args: '<url> [name]',
  summary: 'Show the certificates of an appliance, and write the fingerprint into the configuration with --write',
  example: 'veeam-auth-proxy trust https://192.168.7.10:443 tenant --write',
  options: [
    { flags: '--write', description: 'pin the certificate, after asking: the one appliance at this URL, or NAME' },
    { flags: '--config <path>', description: 'configuration file to write to (CONFIG; default appliances.yaml)' },
    { flags: '--yes', description: 'write without asking' },
  ],
  async run(call) {
    const { args, options, io } = call
    const [given = '', name] = args
    const origin = originOf(given)
    const asked = options.write === true
    if (asked && options.yes !== true && io.stdin.isTTY !== true) {
      throw new UsageError('Nobody can be asked: the input is no terminal. Look at the certificate, then add --yes.')
    }
    const chain = await withProgress(io, `Connecting to ${origin}`, shownAt(origin))
    const [leaf] = chain.certificates
    if (leaf === undefined) throw new CommandError(`${origin} shows no certificate.`)
    print(io.stdout, reportOf(origin, chain))
    if (chain.ended) {
      if (asked) throw new CommandError('Nothing was written: an expired certificate is trusted by no pin.')
      return 0
    }
    if (asked) return write({ call, origin, name, fingerprint: leaf.fingerprint })
    print(io.stdout, `To pin it, put this line under the appliance in the configuration:\n\n${settingOf(leaf)}`)
    print(io.stdout, `\nor let it be written there: veeam-auth-proxy trust ${given} --write`)
    return 0
  },
}

interface Writing {
  call: Call
  origin: string
  name: string | undefined
  fingerprint: string
}

async function write({ call: { options, io }, origin, name, fingerprint }: Writing): Promise<number> {
  const [{ readSettings }, { openPin }] = await Promise.all([import('../config/env.ts'), import('./trust-pin.ts')])
  const file = textOf(options.config) ?? (await readSettings(io.env)).config
  const wanted = { file, directory: io.cwd, origin, name, fingerprint }
  const pin = await openPin(wanted)
  if (pin.isThere) {
    print(io.stdout, `${pin.name} in ${file} pins this certificate already.`)
    return 0
  }
  if (options.yes !== true) {
    const replaced = pin.replaced === undefined ? '' : ` in place of ${pin.replaced}`
    const question = `Is this the fingerprint that the appliance itself shows? Write it into ${pin.name} of ${file}${replaced} [y/N]: `
    if (!(await isAgreed(question, io))) throw new CommandError('Nothing was written.')
  }
  await pin.write()
  print(io.stdout, `${pin.name} in ${file} is pinned to this certificate now.`)
  return 0
}

function originOf(given: string): string {
  const text = given.includes('://') ? given : `https://${given}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'https:' && url.hostname !== '') return url.origin
  throw new UsageError(`${given} is not the address of an appliance. Write it as https://HOST:PORT.`)
}

/** @throws CommandError with what may be wrong where no certificate is shown */
export async function shownAt(origin: string): Promise<ShownChain> {
  const { inspectChain } = await import('../upstream/trust.ts')
  try {
    return await inspectChain(origin, INSPECTION)
  } catch (cause) {
    const { code = 'no TLS answer in time' } = cause instanceof Error && 'code' in cause ? cause : {}
    const tls = String(code).startsWith('ERR_SSL') || code === 'EPROTO' ? 'What answers there does not speak TLS. ' : ''
    const remedy = 'Check host and port, and that the appliance is running.'
    throw new CommandError(`${origin} shows no certificate (${code}). ${tls}${remedy}`, { cause })
  }
}

/** What a person needs to see to trust it. */
export function reportOf(origin: string, { certificates, fault, ended }: ShownChain): string {
  const said = fault === undefined ? 'Node.js trusts it.' : `Node.js does not trust it: ${fault}.`
  const verdict = ended ? `${said}\nIt has expired, and cannot be pinned. Let the appliance have a new one.` : said
  return `${origin} shows:\n\n${certificates.map(entryOf).join('\n\n')}\n\n${verdict}\n`
}

function entryOf({ subject, issuer, altNames, validFrom, validTo, fingerprint }: Certificate, index: number): string {
  const lines = {
    subject: oneLine(subject),
    issuer: oneLine(issuer),
    names: oneLine(altNames) || 'none',
    valid: `${validFrom} to ${validTo}`,
    'SHA-256': fingerprint,
  }
  const said = Object.entries(lines).map(([label, value]) => `   ${label.padEnd(8)} ${value}`)
  return [`${index + 1}.${said[0]?.slice(2)}`, ...said.slice(1)].join('\n')
}

function settingOf({ fingerprint }: Certificate): string {
  return `    tls: { fingerprint: "${fingerprint}" }`
}

/** What a certificate says goes to a terminal: nothing in it may steer that. */
function oneLine(name: string): string {
  return name.replaceAll(/\s*\n\s*/g, ', ').replaceAll(/\p{C}/gu, '?')
}

function isAgreed(question: string, { stdin, stderr }: Io): Promise<boolean> {
  const lines = createInterface({ input: stdin })
  stderr.write(question)
  return new Promise(resolve => {
    lines.once('line', line => {
      resolve(/^y(es)?$/i.test(line.trim()))
      lines.close()
    })
    lines.once('close', () => resolve(false))
  })
}
