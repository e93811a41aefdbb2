/** What goes on is told of again at every so many times: about twice an hour where it happens each minute. */
const AT_LEAST_EVERY = 64

/** Whether something that has happened so many times is to be logged: the first time, the second, the fourth, and so on. */
export function isWorthTelling(times: number): boolean {
  return (times & (times - 1)) === 0 || times % AT_LEAST_EVERY === 0
}
