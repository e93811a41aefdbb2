import Type from 'typebox'
import { defineProduct, type Grant } from './dialect.ts'
import { JSON_TYPE, type SignInError } from './emulation.ts'
import { form, formFields, sharedCredentialPaths, understand } from './oauth2.ts'

/** RFC 9110, section 5.1: a field name is a token. */
const FIELD_NAME = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"

const Echo = Type.Object(
  {
    cookie: Type.String({ minLength: 1, description: 'Name of the cookie' }),
    field: Type.String({ pattern: FIELD_NAME, description: 'Name of the request field its value is copied into' }),
  },
  { additionalProperties: false },
)

const SIGN_OUT = /^\/v[^/]+\/(?:token\/)?logout$/

/**
 * Veeam Backup for Microsoft 365: its REST API guide, 'Authorization for Administrators'. The antiforgery token comes
 * as cookies whose names are published nowhere, so every cookie of the appliance is kept and none is named here.
 */
export const microsoft365 = defineProduct({
  name: 'microsoft365',
  title: 'Veeam Backup for Microsoft 365',
  defaultPort: 4443,
  options: {
    apiVersion: Type.String({
      pattern: '^v[1-9][0-9]*$',
      default: 'v8',
      description: 'Version in the path of the token endpoint, such as v8',
    }),
    antiforgery: Type.Union(
      [
        Type.Literal('cookies'),
        Type.Literal('disabled'),
        Type.Object(
          { echo: Type.Array(Echo, { minItems: 1, description: 'Cookies that a request carries as a field, too' }) },
          { additionalProperties: false },
        ),
      ],
      {
        default: 'cookies',
        description:
          'cookies: keep the antiforgery cookies of the appliance and send them back; { echo: [{ cookie, field }] }: ' +
          'also copy a cookie into a request field; disabled: ask for tokens that need none (v7 and later)',
      },
    ),
  },
  credentials: ['password'],
  mfa: false,
  credentialPaths: [
    { kind: 'token', path: /^\/v[^/]+\/token$/ },
    // The second is in no document, but clients send it.
    { kind: 'sign-out', path: SIGN_OUT },
    { kind: 'authorization-code', path: /^\/v[^/]+\/token\/authcode$/ },
    ...sharedCredentialPaths,
  ],
  emulation: {
    // Its guide's example of a sign-in.
    answer: {
      access_token: '',
      refresh_token: '',
      token_type: 'bearer',
      expires_in: 3600,
      userName: 'Administrator',
      '.issued': '2024-08-07T15:56:20.7358632Z',
      '.expires': '2024-08-07T16:56:20.7358632Z',
    },
    errorType: JSON_TYPE,
    error: (error, path) => errorIn(versionIn(path), error),
    // Its guide, 'Breaking changes': in v8 a sign-out came to have no content.
    signOutStatus(method, path) {
      if (method !== 'POST' || !SIGN_OUT.test(path)) return undefined
      return versionIn(path) < 8 ? 200 : 204
    },
  },
  dialect: ({ apiVersion, antiforgery }) => {
    const token = `/${apiVersion}/token`
    const disabled = antiforgery === 'disabled'
    return {
      ask: grant => ({ method: 'POST', path: token, fields: formFields, body: form(values(grant, disabled)) }),
      understand,
      signOut: accessToken => ({
        method: 'POST',
        path: `${token}/logout`,
        fields: { authorization: `Bearer ${accessToken}` },
      }),
      sessionFields: accessToken => ({ authorization: `Bearer ${accessToken}` }),
      defaultFields: {},
      keepsCookies: !disabled,
      echo: typeof antiforgery === 'object' ? antiforgery.echo : [],
      // Its guide, 'Global changes': since v6 links name neither host nor port.
      links: Number(apiVersion.slice(1)) < 6 ? 'absolute' : 'rooted',
      sample: { path: `/${apiVersion}/Jobs`, list: 'results' },
    }
  },
})

function values(grant: Grant, disabled: boolean): Record<string, string> {
  const flag = disabled ? { disable_antiforgery_token: 'true' } : {}
  switch (grant.type) {
    case 'password':
      return { grant_type: 'password', username: grant.username, password: grant.password, ...flag }
    case 'refresh_token':
      return { grant_type: 'refresh_token', refresh_token: grant.refreshToken, ...flag }
    case 'mfa':
    case 'authorization_code':
      throw new TypeError(`microsoft365 has no ${grant.type} grant`)
  }
}

/** NaN where the path has none. */
function versionIn(path: string): number {
  return Number(/^\/v(\d+)/.exec(path)?.[1])
}

/** Up to v5 the form of RFC 6749; later its OpenAPI document's RESTExceptionInfo, with a code since v7. */
function errorIn(version: number, { error, message }: SignInError): object {
  if (version <= 5) return { error, error_description: message, message }
  return version < 7 ? { message, error } : { message, errorCode: 'HttpError', error }
}
