import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { originOf } from '../config/address.ts'
import { applianceOf } from '../config/appliance.ts'
import type { ApplianceConfiguration } from '../config/configuration.ts'
import { Findings } from '../config/findings.ts'
import { Obstacle } from '../config/obstacle.ts'
import { type Product, products } from '../dialects/index.ts'
import { type Failure, failures } from '../errors.ts'
import { Redactor } from '../redactor.ts'
import { tryAppliance } from './check-appliance.ts'
import { CommandError, type Io, print } from './command.ts'
import { logTo } from './log-to.ts'
import { withProgress } from './progress.ts'
import { type Questions, questionsFor } from './questions.ts'
import { reportOf, shownAt } from './trust.ts'

/** How often credentials may be refused: an account must not be locked by typing. */
const MOST_REFUSALS = 3

/** What a person said of an appliance, and the appliance confirmed. */
export interface Answers {
  name: string
  product: string
  url: string
  username: string
  password: string
  /** Of the certificate to pin; undefined where Node.js trusts it anyway. */
  fingerprint: string | undefined
}

/**
 * Asks for one appliance, shows its certificate and signs in there once, and out again.
 * @param file absolute path of the configuration that is to be written
 * @throws CommandError when the person leaves, or the appliance cannot be used
 */
export async function askForAppliance(file: string, io: Io): Promise<Answers> {
  const ask = questionsFor(io)
  const product = await productFrom(ask)
  const url = addressIn(
    await ask.text('Address of the appliance', { validate: text => mistakeIn(text, product) }),
    product,
  )
  const fingerprint = await pinFor(url, ask, io)
  const validate = (text: string) => nameMistake(text, file)
  const suggestion = validate(product.name) === undefined ? { suggestion: product.name } : {}
  const name = await ask.text('Name for it here', { ...suggestion, validate })
  for (let refusals = 1; ; refusals += 1) {
    const username = await ask.text('User name')
    const password = await ask.hidden('Password')
    const answers = { name, product: product.name, url, username, password, fingerprint }
    const failure = await withProgress(io, `Signing in to ${name}`, tryOut(answers, io))
    if (failure === undefined) return answers
    if (failure.code === 'CODE_WANTED') {
      const later = `Give it to the running proxy: veeam-auth-proxy code ${name}; or let it make codes: see totp.`
      print(io.stderr, `The password is right, and the appliance wants a code. ${later}`)
      return answers
    }
    const { title, remedy } = failures[failure.code]
    const said = `${title}. ${failure.message}`
    if (failure.code !== 'SIGN_IN_REFUSED') throw new CommandError(`${said}\n${remedy}. Nothing was written.`)
    if (refusals === MOST_REFUSALS) throw new CommandError(`${said}\nNothing was written.`)
    print(io.stderr, said)
  }
}

/** Where the password of an appliance is put, beside the configuration. */
export function secretFile(file: string, name: string): string {
  return join(dirname(file), `${name}.password`)
}

async function productFrom(ask: Questions): Promise<Product> {
  const chosen = await ask.choice(
    'Product',
    products.map(({ name, title }) => ({ label: title, value: name })),
  )
  const product = products.find(({ name }) => name === chosen)
  if (product === undefined) throw new TypeError(`no product ${chosen}`)
  return product
}

/** Scheme and port may be left out; the port is then the product's own. */
function addressIn(text: string, { defaultPort }: Product): string {
  if (text.includes('://')) return originOf(text)
  const hasPort = /:\d+\/?$/.test(text) && !/^[^[]*:.*:/.test(text)
  return originOf(`https://${text.replace(/\/$/, '')}${hasPort ? '' : `:${defaultPort}`}`)
}

function mistakeIn(text: string, product: Product): string | undefined {
  try {
    addressIn(text, product)
    return undefined
  } catch (error) {
    if (!(error instanceof Obstacle)) throw error
    return `${error.message}. ${error.remedy}`
  }
}

function nameMistake(name: string, file: string): string | undefined {
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) return 'Take small letters, digits and hyphens, such as tenant-1'
  const secret = secretFile(file, name)
  return existsSync(secret) ? `${basename(secret)} exists already, and is left as it is. Take another name` : undefined
}

async function pinFor(url: string, ask: Questions, io: Io): Promise<string | undefined> {
  if (url.startsWith('http:')) return undefined
  const chain = await withProgress(io, `Connecting to ${url}`, shownAt(url))
  print(io.stderr, reportOf(url, chain))
  const [leaf] = chain.certificates
  if (chain.fault === undefined || leaf === undefined) return undefined
  if (chain.ended) throw new CommandError('Nothing was written.')
  const question = 'Is this the SHA-256 fingerprint that the appliance itself shows, and this certificate to be pinned?'
  if (await ask.agreement(question)) return leaf.fingerprint
  throw new CommandError('Nothing was written.')
}

/** What kept the sign-in from working. */
async function tryOut(answers: Answers, io: Io): Promise<Failure | undefined> {
  const redactor = new Redactor()
  const log = logTo(io.stderr, 'silent', redactor, io.env)
  const { failure } = await tryAppliance(await configurationOf(answers, io), { log, redactor })
  return failure
}

async function configurationOf(answers: Answers, { env, cwd }: Io): Promise<ApplianceConfiguration> {
  const { name, product, url, username, password, fingerprint } = answers
  const findings = new Findings({ place: () => 'your answers', name: path => path.join('.') })
  const entry = {
    product,
    url,
    credentials: { username, password },
    ...(fingerprint === undefined ? {} : { tls: { fingerprint } }),
  }
  const context = { directory: cwd, env }
  const appliance = await applianceOf({ name, entry, path: [], findings, context })
  findings.settle()
  if (appliance === undefined) throw new TypeError('the appliance was refused without a finding')
  return appliance
}
