import Type, { type Static, type TProperties, type TSchema } from 'typebox'
import { type Product, products } from '../dialects/index.ts'
import { BYTES } from './bytes.ts'
import { Cache } from './cache.ts'
import { Caller } from './callers.ts'
import { duration } from './duration.ts'
import { LimitsEntry } from './limits.ts'
import { ListenEntry } from './listen.ts'
import { OwnListen } from './own-listen.ts'
import { ruleProperties } from './rule.ts'
import { secretReference } from './secret-reference.ts'

// Longer than the rule allows: every key of the file is declared here once, and help, defaults and README follow.

const strict = { additionalProperties: false }

const ProductName = Type.String({
  enum: products.map(({ name }) => name),
  title: 'Product',
  description: `What kind of appliance it is: ${products.map(({ name, title }) => `${name} (${title})`).join(', ')}`,
})

const Url = Type.String({
  pattern: '^[Hh][Tt][Tt][Pp][Ss]?://[^\\s/?#@]+/?$',
  title: 'URL',
  description: 'Scheme, host and port of the appliance, such as https://backup.example:4443',
})

const Ca = Type.String({
  minLength: 1,
  title: 'CA',
  description: 'PEM file with the certificates to trust; relative to the configuration file',
})

const Fingerprint = Type.String({
  pattern: '^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$',
  title: 'Fingerprint',
  description: "SHA-256 fingerprint of the appliance's own certificate, 64 hexadecimal digits, colons optional",
})

const Verify = Type.Literal(false, {
  title: 'Verify',
  description: 'Only false is possible, and any certificate is then trusted; leave tls out to have it verified',
})

export const Tls = Type.Union(
  [
    Type.Object({ ca: Ca }, strict),
    Type.Object({ fingerprint: Fingerprint }, strict),
    Type.Object({ verify: Verify }, strict),
  ],
  {
    title: 'TLS',
    description:
      'one of { ca: FILE }, { fingerprint: SHA-256 } and { verify: false }; without tls, the certificate authorities ' +
      'that Node.js knows are trusted',
  },
)
export type Tls = Static<typeof Tls>

const Username = Type.String({
  minLength: 1,
  title: 'User name',
  description: 'Account at the appliance, such as Administrator or DOMAIN\\name',
})
const Password = secretReference('Password', 'Password of the account')
const Totp = secretReference(
  'TOTP secret',
  'Secret of the authenticator (RFC 6238), base32 or an otpauth:// URI, for MFA without a person',
)
const AuthorizationCode = secretReference(
  'Authorization code',
  'Code from the web console of the appliance, spent once',
)

const Credentials = Type.Unknown({
  title: 'Credentials',
  description: 'username and password, or what else the product takes',
})

export const DEFAULT_TIMEOUTS = { connect: '10s', firstByte: '60s', idle: '300s' }
export const DEFAULT_MAX_IN_FLIGHT = 256
export const DEFAULT_SHUTDOWN_TIMEOUT = '10s'

const Timeouts = Type.Object(
  {
    connect: Type.Optional(duration('Connect', DEFAULT_TIMEOUTS.connect, 'Longest time for TCP and TLS together')),
    firstByte: Type.Optional(
      duration('First byte', DEFAULT_TIMEOUTS.firstByte, 'Longest time until an answer begins; some are slow to begin'),
    ),
    idle: Type.Optional(duration('Idle', DEFAULT_TIMEOUTS.idle, 'Longest pause within a body')),
  },
  { ...strict, title: 'Timeouts', description: 'How long the appliance may take' },
)

const MaxInFlight = Type.Integer({
  minimum: 1,
  maximum: 65_535,
  default: DEFAULT_MAX_IN_FLIGHT,
  title: 'Most in flight',
  description: 'Requests under way at the same time; a quarter as many wait, and more are answered 503',
})

const MaxBody = Type.String({
  pattern: BYTES,
  title: 'Largest body',
  description: 'Largest body of a request, such as 64MB; without it, any size',
})

const RewriteLinks = Type.Union([Type.Literal('auto'), Type.Literal('off')], {
  default: 'auto',
  title: 'Rewrite links',
  description: 'auto: links to the appliance in JSON and XML lead to the proxy; off: bodies stay as they are',
})

const Allow = Type.Array(Type.Literal('credentials'), {
  title: 'Allow',
  description: 'credentials: also forward the paths that hand out tokens, which work without the proxy then',
})

const SignIn = Type.Union([Type.Literal('emulate'), Type.Literal('deny'), Type.Literal('forward')], {
  title: 'Sign-ins of callers',
  description:
    'emulate: answer sign-ins and sign-outs of callers in the place of the appliance, with placeholders for tokens; ' +
    'deny: refuse them; forward: pass them on, which needs allow: [credentials]. Without it: forward with that; ' +
    'else emulate where callers are set or a request came in by the loopback or a Unix socket; else deny',
})

const Audit = Type.String({
  minLength: 1,
  title: 'Audit log',
  description: 'stdout, or a file to which every request and every grant is appended as a line of JSON',
})

const Tracing = Type.Boolean({
  default: false,
  title: 'Tracing',
  description: 'Send traces with OpenTelemetry, to where OTEL_EXPORTER_OTLP_ENDPOINT says',
})

const AllowedHosts = Type.Array(
  Type.String({ pattern: '^[^\\s/:@*]+$|^\\[[0-9A-Fa-f:]+\\]$', description: 'a host name without port or *' }),
  {
    title: 'Allowed hosts',
    description: 'Host names under which the proxy answers beside localhost, 127.0.0.1, [::1] and NAME.localhost',
  },
)

const AllowedOrigins = Type.Array(
  Type.String({
    pattern: '^[Hh][Tt][Tt][Pp][Ss]?://[^/\\s?#@*]+$',
    description: 'an origin such as https://grafana.example, without *',
  }),
  {
    title: 'Allowed origins',
    description: 'Origins whose pages may use the proxy in a browser, with the rights of the accounts here',
  },
)

const AllowInsecureListen = Type.Boolean({
  default: false,
  title: 'Allow insecure listen',
  description: 'Listen on other addresses than the loopback although callers are not told apart or TLS is missing',
})

/** What every product's appliance has. */
const common = {
  product: ProductName,
  url: Url,
  credentials: Credentials,
  tls: Type.Optional(Tls),
  timeouts: Type.Optional(Timeouts),
  maxInFlight: Type.Optional(MaxInFlight),
  maxBody: Type.Optional(MaxBody),
  rewriteLinks: Type.Optional(RewriteLinks),
  cache: Type.Optional(Cache),
  ...ruleProperties,
  allow: Type.Optional(Allow),
  listen: Type.Optional(OwnListen),
  signIn: Type.Optional(SignIn),
}

const StateDirectory = Type.String({
  minLength: 1,
  title: 'State directory',
  description: 'Directory in which sessions outlive a restart; relative to this file. Needs stateKey',
})

const StateKey = secretReference('State key', 'Key under which the state directory is encrypted, 16 characters or more')

const Appliance = Type.Object(common, {
  title: 'Appliance',
  description: 'One backup appliance; its product says which further keys there are',
})

const placeholders = Object.fromEntries(Object.keys(common).map(key => [key, true]))

/** Draft-07, which editors and ajv read; the products' parts come from the registry. */
export function jsonSchema(): object {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    $id: 'urn:veeam-auth-proxy:appliances',
    title: 'veeam-auth-proxy',
    description: 'Configuration of veeam-auth-proxy: where it listens and which appliances it signs in to',
    type: 'object',
    required: ['appliances'],
    properties: {
      listen: ListenEntry,
      limits: LimitsEntry,
      shutdownTimeout: duration(
        'Shutdown timeout',
        DEFAULT_SHUTDOWN_TIMEOUT,
        'How long requests in flight may take to finish once the proxy is told to end',
      ),
      stateDirectory: StateDirectory,
      stateKey: StateKey,
      audit: Audit,
      tracing: Tracing,
      allowedHosts: AllowedHosts,
      allowedOrigins: AllowedOrigins,
      allowInsecureListen: AllowInsecureListen,
      callers: {
        title: 'Callers',
        description: 'Who may use the proxy; when there are any, everybody must prove to be one of them',
        type: 'array',
        minItems: 1,
        items: Caller,
      },
      appliances: {
        title: 'Appliances',
        description: 'The appliances by name, each served under /NAME/ and as NAME.localhost',
        type: 'object',
        minProperties: 1,
        // A DNS label, so that NAME.localhost is a host name.
        propertyNames: {
          pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
          description: 'a name of small letters, digits and hyphens, at most 63, such as tenant-1',
        },
        additionalProperties: applianceSchema(),
      },
    },
    dependencies: { stateDirectory: ['stateKey'] },
    ...strict,
  }
}

/** A condition per product instead of oneOf: a checker then tells the mistake, and not what every product wants. */
export function applianceSchema(): object {
  const allOf = products.map(product => ({
    if: { required: ['product'], properties: { product: { const: product.name } } },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: {
      title: product.title,
      properties: { ...placeholders, credentials: credentialsOf(product), ...optionsOf(product) },
      required: (product.options.required ?? []).filter(key => !('default' in propertyOf(product, key))),
      ...strict,
    },
  }))
  return { ...Appliance, allOf }
}

/** The products that have this key of their own, beside credentials or in them. */
export function ownersOf(key: string): { part: 'appliance' | 'credentials'; names: readonly string[] } {
  const inCredentials = products.filter(product => key in credentialKeys(product))
  if (inCredentials.length > 0) return { part: 'credentials', names: inCredentials.map(({ name }) => name) }
  return {
    part: 'appliance',
    names: products.filter(({ options }) => key in options.properties).map(({ name }) => name),
  }
}

function optionsOf(product: Product): TProperties {
  const keys = Object.keys(product.options.properties)
  return Object.fromEntries(keys.map(key => [key, { title: key, ...propertyOf(product, key) }]))
}

function propertyOf(product: Product, key: string): TSchema {
  return product.options.properties[key] ?? Type.Unknown()
}

function credentialsOf(product: Product): TSchema {
  const { authorizationCode, ...account } = credentialKeys(product)
  const password = Type.Object(account, strict)
  const words = { title: 'Credentials', description: 'username and password' }
  if (!authorizationCode) return { ...password, ...words }
  const code = Type.Object({ authorizationCode }, strict)
  return Type.Union([password, code], { ...words, description: 'username and password, or authorizationCode' })
}

function credentialKeys(product: Product): TProperties {
  return {
    username: Username,
    password: Password,
    ...(product.mfa ? { totp: Type.Optional(Totp) } : {}),
    ...(product.credentials.includes('authorizationCode') ? { authorizationCode: AuthorizationCode } : {}),
  }
}
