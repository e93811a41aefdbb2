/** What happened so far; a live object that tests read. */
export interface Counts {
  /** Requests to the token endpoint of any kind, answered or not. */
  tokenRequests: number
  /** Password grants that gave tokens or an MFA token. */
  signIns: number
  /** Password grants with a wrong name or password. */
  refusedSignIns: number
  /** MFA codes accepted. */
  mfa: number
  /** MFA codes or MFA tokens refused. */
  refusedCodes: number
  refreshes: number
  refusedRefreshes: number
  /** Authorization codes exchanged for tokens. */
  authorizationCodes: number
  signOuts: number
  /** Resource requests that arrived, whatever became of them. */
  requests: number
  /** 401 given to a resource request or a sign-out. */
  unauthorized: number
  /** Resource requests whose connection ended before the whole answer was written. */
  aborted: number
  uploads: number
  /** Effects recorded at `…/effects?id=X`. */
  effects: number
  /** Effects recorded for an id that had one already. */
  duplicateEffects: number
}

export function newCounts(): Counts {
  return {
    tokenRequests: 0,
    signIns: 0,
    refusedSignIns: 0,
    mfa: 0,
    refusedCodes: 0,
    refreshes: 0,
    refusedRefreshes: 0,
    authorizationCodes: 0,
    signOuts: 0,
    requests: 0,
    unauthorized: 0,
    aborted: 0,
    uploads: 0,
    effects: 0,
    duplicateEffects: 0,
  }
}
