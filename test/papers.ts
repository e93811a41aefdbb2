import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const repository = fileURLToPath(new URL('..', import.meta.url))

/** A text that people read, by its path from the repository's root. */
export interface Paper {
  file: string
  text: string
}

export interface Block {
  file: string
  /** Of its first line of text. */
  line: number
  /** What stands behind the fence: a language, and what it is checked with where that alone does not tell. */
  kind: string
  text: string
}

/** Everything that is written for a person, this side of comments. */
export const papers: readonly Paper[] = [
  ...readdirSync(repository).filter(name => name.endsWith('.md')),
  ...readdirSync(`${repository}docs`)
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`),
].map(file => ({ file, text: readFileSync(repository + file, 'utf8') }))

/** The blocks of code in a paper: what is fenced, and what is indented by four spaces, which is of no kind. */
export function blocksIn({ file, text }: Paper): Block[] {
  const blocks: Block[] = []
  let open: { block: Block; fence: string } | undefined
  let before = ''
  for (const [index, line] of text.split('\n').entries()) {
    const [, fence, kind = ''] = /^ {0,3}(```+|~~~+)\s*(.*?)\s*$/.exec(line) ?? []
    if (open !== undefined) {
      if (fence === open.fence) open = undefined
      else open.block.text += `${line}\n`
    } else if (fence !== undefined) {
      open = { fence, block: { file, line: index + 2, kind, text: '' } }
      blocks.push(open.block)
    } else if (/^( {4}|\t)\S/.test(line) && before.trim() === '') {
      blocks.push({ file, line: index + 1, kind: '', text: line })
    }
    before = line
  }
  return blocks
}

/** The text without its blocks and comments, in which links and short pieces of code stand. */
export function proseOf({ text }: Paper): string {
  return text.replaceAll(/^(```+|~~~+).*?^\1$/gms, '').replaceAll(/<!--.*?-->/gs, '')
}

/** What stands between backticks in running text. */
export function spansIn(paper: Paper): string[] {
  return [...proseOf(paper).matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span)
}

/** Where the links and pictures of a paper lead to. */
export function linksIn(paper: Paper): string[] {
  return [...proseOf(paper).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
}

/** What the headings of a paper are called in links. */
export function anchorsIn(paper: Paper): string[] {
  return [...proseOf(paper).matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}
