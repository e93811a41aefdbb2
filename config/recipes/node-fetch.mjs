// How many sessions ended how: every page of a list with Node's own fetch. Run: node node-fetch.mjs

const counts = new Map()
let url = 'http://127.0.0.1:8080/azure/api/v8.1/jobSessions?limit=100'
while (url !== undefined) {
  const answer = await fetch(url)
  // Also where the proxy has no session: its answer then says what to do.
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`)
  const { results, _links: links } = await answer.json()
  for (const { status } of results) counts.set(status, (counts.get(status) ?? 0) + 1)
  url = links.next?.href
}
for (const [status, count] of counts) console.log(`${count} ${status}`)
