/** The variables in which systemd says what it hands down; see sd_listen_fds(3). */
export interface ActivationVariables {
  LISTEN_FDS?: string | undefined
  LISTEN_PID?: string | undefined
  LISTEN_FDNAMES?: string | undefined
}

export interface HandedSocket {
  fd: number
  /** `FileDescriptorName=` of the socket unit, by default the name of that unit. */
  name: string | undefined
}

const FIRST = 3

/**
 * The listening sockets that were handed down to this process.
 * @param pid of this process: variables that were meant for another one, such as its parent, count for nothing
 */
export function handedSockets(variables: ActivationVariables, pid: number): HandedSocket[] {
  const { LISTEN_FDS = '', LISTEN_PID = '', LISTEN_FDNAMES = '' } = variables
  if (LISTEN_PID !== String(pid) || !/^\d{1,4}$/.test(LISTEN_FDS)) return []
  const names = LISTEN_FDNAMES.split(':')
  return Array.from({ length: Number(LISTEN_FDS) }, (_, i) => ({ fd: FIRST + i, name: names[i] || undefined }))
}
