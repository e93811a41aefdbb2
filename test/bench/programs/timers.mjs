import { writeFileSync } from 'node:fs'
import { getActiveResourcesInfo } from 'node:process'

// Loaded before the product: at SIGUSR2 it writes how many timers the process has.
const file = process.env.TIMERS_FILE
process.on('SIGUSR2', () => {
  const timers = getActiveResourcesInfo().filter(kind => kind === 'Timeout').length
  writeFileSync(file, JSON.stringify({ timers }))
})
