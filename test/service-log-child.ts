import { processIo } from '../src/cli/process-io.ts'
import { serviceLog } from '../src/cli/service-log.ts'
import { Redactor } from '../src/redactor.ts'

// Writes many lines at once and ends in the way that its argument says, before any of them can have been written.
const log = await serviceLog(processIo(), 'info', new Redactor())
// Some are longer than what is written together, of characters that take several bytes.
const long = '€😀'.repeat(20_000)
for (let nth = 0; nth < 2000; nth += 1) log.info({ nth }, nth % 100 === 50 ? long : 'x'.repeat(200))
switch (process.argv[2]) {
  case 'exit':
    process.exit(3)
    break
  case 'throw':
    throw new Error('nobody caught this')
  case 'fatal':
    log.fatal('the last line')
    process.kill(process.pid, 'SIGKILL')
}
