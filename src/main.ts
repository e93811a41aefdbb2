#!/usr/bin/env node
import { run } from './cli/index.ts'
import { processIo } from './cli/process-io.ts'

process.exitCode = await run(process.argv.slice(2), processIo())
