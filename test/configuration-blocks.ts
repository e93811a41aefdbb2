import { extname } from 'node:path'
import type { TestContext } from 'node:test'
import { loadConfiguration } from '../src/config/load.ts'
import { temporaryFolder } from './configuration-folder.ts'
import { sharedCertificate } from './rig.ts'

const FINGERPRINT = Array.from({ length: 32 }, () => 'AB').join(':')
/** Good as a password, a caller's secret and that of an authenticator. */
const SECRET = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'

/**
 * Loads a configuration as the program would, in a folder that has every file and with every variable that it names.
 * @throws ConfigurationError
 */
export async function loadBlock(t: TestContext, text: string): Promise<void> {
  const folder = temporaryFolder(t)
  const { cert, key } = await sharedCertificate()
  const contents: Record<string, string> = { '.pem': cert, '.key': key }
  const here = text.replaceAll('/run/secrets/', './').replaceAll('AB:CD:…', FINGERPRINT)
  for (const [, name = ''] of here.matchAll(/\.\/([\w.-]+)/g)) {
    folder.write(name, contents[extname(name)] ?? SECRET)
  }
  const env = [...here.matchAll(/\benv: (\w+)/g)].map(([, name = '']) => [name, SECRET])
  await loadConfiguration({ config: folder.write('appliances.yaml', here) }, Object.fromEntries(env), folder.path)
}
