import { tick } from './clock.js'
import { startExamples } from './examples.js'
import { arrange, startFinding } from './find.js'
import { startPressing } from './press.js'
import { startRows, update } from './rows.js'
import { watch } from './stream.js'

startFinding()
startRows()
startPressing()
startExamples()
tick(document)
setInterval(() => tick(document), 1000)
// Rows that jump about every second cannot be read.
setInterval(() => arrange('unless in use'), 5000)
watch(update)
