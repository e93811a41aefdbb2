import Type, { type Static } from 'typebox'
import { namedVersion } from './api-version.ts'
import { type Dialect, defineProduct, type Grant } from './dialect.ts'
import { errorCodeOf, PROBLEM_JSON, titleOf } from './emulation.ts'
import { form, formFields, sharedCredentialPaths, understand } from './oauth2.ts'

const TOKEN = '/api/v1/token'
const TOKEN_PATH = /^\/api\/(?:v[^/]+|oauth2)\/token$/

const VERSION = '^[0-9]+\\.[0-9]+-rev[0-9]+$'
const DEFAULT_VERSION = '1.4-rev0'

const Version = Type.String({ pattern: VERSION, title: 'Version', description: 'a version such as 1.4-rev0' })

const options = {
  apiVersion: Type.Optional(
    Type.Union(
      [
        Version,
        Type.Object(
          {
            value: Version,
            force: Type.Optional(
              Type.Boolean({ title: 'Force', description: 'true: also in the place of what a caller sends' }),
            ),
          },
          { additionalProperties: false },
        ),
      ],
      {
        description:
          'Value of x-api-version such as 1.4-rev0, for callers that send none, or { value, force: true } for all of ' +
          `them; without it ${DEFAULT_VERSION}, or the newest that the appliance names when it refuses that one`,
      },
    ),
  ),
  shortTermRefresh: Type.Boolean({
    default: false,
    description: 'Ask for a refresh token that lives 60 minutes instead of two weeks',
  }),
}
type Options = Static<ReturnType<typeof Type.Object<typeof options>>>

/** Veeam Backup for Google Cloud: its REST API guide, 'Requesting Authorization'. */
export const googleCloud = defineProduct({
  name: 'google-cloud',
  title: 'Veeam Backup for Google Cloud',
  defaultPort: 13140,
  options,
  credentials: ['password', 'authorizationCode'],
  mfa: true,
  credentialPaths: [
    // The guide's page on signing out has the second path in its example.
    { kind: 'token', path: TOKEN_PATH },
    { kind: 'authorization-code', path: /^\/api\/v[^/]+\/authorization_code$/ },
    ...sharedCredentialPaths,
  ],
  emulation: {
    // Its guide's example of a sign-in.
    answer: {
      access_token: '',
      token_type: 'bearer',
      refresh_token: '',
      expires_in: 900,
      '.issued': '2021-03-22T20:41:31',
      '.expires': '2021-03-22T20:56:31',
    },
    errorType: PROBLEM_JSON,
    error: ({ status, error, message }) => ({
      type: 'about:blank',
      title: titleOf(status),
      status,
      errorCode: errorCodeOf(status),
      details: message,
      error,
      message,
    }),
    signOutStatus: (method, path) => (method === 'DELETE' && TOKEN_PATH.test(path) ? 204 : undefined),
  },
  dialect: options => {
    const { apiVersion } = options
    return speaking(options, typeof apiVersion === 'object' ? apiVersion.value : (apiVersion ?? DEFAULT_VERSION))
  },
})

/** A version that the configuration names is never left: whoever wrote it down relies on it. */
function speaking(options: Options, version: string): Dialect {
  const { apiVersion, shortTermRefresh } = options
  const set = { 'x-api-version': version }
  const forced = typeof apiVersion === 'object' && apiVersion.force === true
  return {
    ask: grant => ({
      method: 'POST',
      path: TOKEN,
      fields: { ...formFields, ...set },
      body: form(values(grant, shortTermRefresh)),
    }),
    understand(grant, answer) {
      const named = apiVersion === undefined ? namedVersion(answer, version) : undefined
      return named === undefined ? understand(grant, answer) : { type: 'version-wanted', version: named }
    },
    inVersion: named => speaking(options, new RegExp(VERSION).test(named) ? named : version),
    signOut: accessToken => ({
      method: 'DELETE',
      path: TOKEN,
      fields: { ...set, authorization: `Bearer ${accessToken}` },
    }),
    sessionFields: accessToken => ({ authorization: `Bearer ${accessToken}`, ...(forced ? set : {}) }),
    defaultFields: forced ? {} : set,
    keepsCookies: false,
    echo: [],
    links: 'none',
    sample: { path: '/api/v1/policies', list: 'data' },
  }
}

function values(grant: Grant, shortTermRefresh: boolean): Record<string, string> {
  switch (grant.type) {
    case 'password': {
      const { username, password } = grant
      return {
        grant_type: 'password',
        username,
        password,
        ...(shortTermRefresh ? { use_short_term_refresh: 'true' } : {}),
      }
    }
    case 'mfa':
      return { grant_type: 'mfa', mfa_token: grant.mfaToken, mfa_code: grant.code }
    case 'authorization_code':
      return { grant_type: 'authorization_code', code: grant.code }
    case 'refresh_token':
      return { grant_type: 'refresh_token', refresh_token: grant.refreshToken }
  }
}
