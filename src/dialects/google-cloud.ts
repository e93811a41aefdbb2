import Type from 'typebox'
import { defineProduct, type Grant } from './dialect.ts'
import { form, formFields, sharedCredentialPaths, understand } from './oauth2.ts'

const TOKEN = '/api/v1/token'

/** Veeam Backup for Google Cloud: its REST API guide, 'Requesting Authorization'. */
export const googleCloud = defineProduct({
  name: 'google-cloud',
  title: 'Veeam Backup for Google Cloud',
  defaultPort: 13140,
  options: {
    apiVersion: Type.String({
      pattern: '^[0-9]+\\.[0-9]+-rev[0-9]+$',
      default: '1.4-rev0',
      description: 'Value of x-api-version, such as 1.4-rev0; a value that the caller sends wins',
    }),
    shortTermRefresh: Type.Boolean({
      default: false,
      description: 'Ask for a refresh token that lives 60 minutes instead of two weeks',
    }),
  },
  credentials: ['password', 'authorizationCode'],
  mfa: true,
  credentialPaths: [
    // The guide's page on signing out has the second path in its example.
    { kind: 'token', path: /^\/api\/(?:v[^/]+|oauth2)\/token$/ },
    { kind: 'authorization-code', path: /^\/api\/v[^/]+\/authorization_code$/ },
    ...sharedCredentialPaths,
  ],
  dialect: ({ apiVersion, shortTermRefresh }) => {
    const version = { 'x-api-version': apiVersion }
    return {
      ask: grant => ({
        method: 'POST',
        path: TOKEN,
        fields: { ...formFields, ...version },
        body: form(values(grant, shortTermRefresh)),
      }),
      understand,
      signOut: accessToken => ({
        method: 'DELETE',
        path: TOKEN,
        fields: { ...version, authorization: `Bearer ${accessToken}` },
      }),
      sessionFields: accessToken => ({ authorization: `Bearer ${accessToken}` }),
      defaultFields: version,
      keepsCookies: false,
      echo: [],
      links: 'none',
    }
  },
})

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
