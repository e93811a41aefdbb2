import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import axe from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import Type from 'typebox'
import { Check } from 'typebox/value'
import { find } from './bench/machine.ts'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

const ARGUMENTS = [
  '--headless',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // It refuses to run as root otherwise. Nothing but the pages of these tests is ever shown.
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
]

function findBrowser(): string | undefined {
  const { CHROME_PATH } = process.env
  if (CHROME_PATH !== undefined && CHROME_PATH !== '') return CHROME_PATH
  return names.map(find).find(path => path !== undefined)
}

let running: Promise<Browser> | undefined

after(async () => {
  await (await running)?.close()
})

/**
 * A test in Chromium or Chrome, whichever is found; one browser serves a whole file. Where there is none it is skipped,
 * except in CI, where that is a failure.
 */
export function inBrowser(name: string, run: (t: TestContext) => Promise<void>): void {
  test(name, async t => {
    if (findBrowser() !== undefined) return run(t)
    const words = 'there is no Chromium or Chrome: apt-get install chromium, or set CHROME_PATH'
    assert.notEqual(process.env.CI, 'true', words)
    t.skip(words)
  })
}

export interface Seen {
  page: Page
  /** What the browser complained of: refused by the security policy, failed scripts, missing files. */
  complaints: string[]
  /** Requests to any other place than the page's own. */
  elsewhere: string[]
}

/** A new window without memory. */
export async function openWindow(t: TestContext, options: BrowserContextOptions = {}): Promise<Seen> {
  running ??= chromium.launch({ executablePath: findBrowser() ?? '', args: ARGUMENTS })
  const browser = await running
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 }, ...options })
  t.after(() => context.close())
  const page = await context.newPage()
  const complaints: string[] = []
  const elsewhere: string[] = []
  page.on('console', message => message.type() === 'error' && complaints.push(message.text()))
  page.on('pageerror', error => complaints.push(error.message))
  page.on('request', request => {
    if (!request.isNavigationRequest() && new URL(request.url()).host !== new URL(page.url()).host)
      elsewhere.push(request.url())
  })
  return { page, complaints, elsewhere }
}

/** Keeps a picture in the folder that `ARTIFACTS` names, if it names one. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  const folder = process.env.ARTIFACTS
  if (folder === undefined || folder === '') return
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true })
}

const Violations = Type.Object({
  violations: Type.Array(
    Type.Object({
      id: Type.String(),
      nodes: Type.Array(Type.Object({ html: Type.String(), failureSummary: Type.String() })),
    }),
  ),
})

/** What axe finds wrong with the page as it is now, with every rule that axe has. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source)
  const found: unknown = await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')
  if (!Check(Violations, found)) throw new Error('axe gave no result')
  return found.violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  )
}
