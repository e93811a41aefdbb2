// npm run docs: writes what README has from the tables of the product, between markers.
import { readFileSync, writeFileSync } from 'node:fs'
import { packageFile } from '../src/package-file.ts'
import { filled } from './generated.ts'

const readme = packageFile('README.md')
writeFileSync(readme, await filled(readFileSync(readme, 'utf8')))
