import { defineProduct, type Grant } from './dialect.ts'
import { errorCodeOf, PROBLEM_JSON, titleOf } from './emulation.ts'
import { form, formFields, sharedCredentialPaths, understand } from './oauth2.ts'

const TOKEN = '/api/oauth2/token'

/** Veeam Backup for Microsoft Azure: its REST API guide, 'Requesting Authorization'. */
export const azure = defineProduct({
  name: 'azure',
  title: 'Veeam Backup for Microsoft Azure',
  defaultPort: 443,
  options: {},
  credentials: ['password'],
  mfa: true,
  credentialPaths: [
    { kind: 'token', path: /^\/api\/oauth2\/token$/ },
    // The answer holds the secret of an authenticator and scratch codes, which a sign-in takes instead of its codes.
    { kind: 'other', path: /^\/api\/v[^/]+\/users\/[^/]+\/enablemfa$/ },
    // The updater on the same machine has a grant of its own (Updater_token), so its link may carry a token.
    { kind: 'other', path: /^\/api\/v[^/]+\/system\/updaterlink$/ },
    ...sharedCredentialPaths,
  ],
  emulation: {
    // Its guide's example of a sign-in.
    answer: {
      access_token: '',
      token_type: 'bearer',
      refresh_token: '',
      expires_in: 3600,
      '.issued': '2020-12-02T11:34:03.3605646Z',
      '.expires': '2020-12-02T12:34:03.3575256Z',
      username: 'administrator',
      roleName: 'Administrator',
      mfa_enabled: false,
    },
    errorType: PROBLEM_JSON,
    error: ({ status, error, message }) => ({
      type: 'about:blank',
      title: titleOf(status),
      status,
      detail: message,
      errorCode: errorCodeOf(status),
      error,
      message,
    }),
    signOutStatus: (method, path) => (method === 'DELETE' && path === TOKEN ? 204 : undefined),
  },
  dialect: () => ({
    ask: grant => ({ method: 'POST', path: TOKEN, fields: formFields, body: form(values(grant)) }),
    understand,
    signOut: accessToken => ({ method: 'DELETE', path: TOKEN, fields: { authorization: `Bearer ${accessToken}` } }),
    sessionFields: accessToken => ({ authorization: `Bearer ${accessToken}` }),
    defaultFields: {},
    keepsCookies: false,
    echo: [],
    links: 'absolute',
    sample: { path: '/api/v8.1/policies', list: 'results' },
  }),
})

/** The letter case is the guide's own. */
function values(grant: Grant): Record<string, string> {
  switch (grant.type) {
    case 'password':
      return { Username: grant.username, Password: grant.password, grant_type: 'Password' }
    case 'mfa':
      return { grant_type: 'Mfa', mfa_token: grant.mfaToken, mfa_code: grant.code }
    case 'refresh_token':
      return { grant_type: 'Refresh_token', refresh_token: grant.refreshToken }
    case 'authorization_code':
      throw new TypeError('azure has no authorization code grant')
  }
}
