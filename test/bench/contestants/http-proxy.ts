import { missingPackage } from '../site.ts'
import { type Contestant, startProgram } from './contestant.ts'

export const httpProxy: Contestant = {
  name: 'http-proxy',
  kind: 'proxy',
  available: () => missingPackage('http-proxy'),
  start: site => startProgram(site, 'http-proxy'),
}
