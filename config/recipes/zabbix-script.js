// A script item of Zabbix (6.0 and later): how many things of a list ended how, every page of it.
// Its parameters are url, the first page through the proxy, and field, what to count by.
// The template beside this file has it as an item. Try: zabbix_js -s zabbix-script.js -p '{"url":"…","field":"…"}'
var parameters = JSON.parse(value)
var origin = parameters.url.split('/').slice(0, 3).join('/')
var request = new HttpRequest()
var counts = { total: 0 }
var next = parameters.url

while (next) {
  var body = request.get(next)
  if (request.getStatus() !== 200) {
    throw 'HTTP ' + request.getStatus() + ' from ' + next + ': ' + body
  }
  var page = JSON.parse(body)
  page.results.forEach(function (entry) {
    var name = entry[parameters.field]
    counts[name] = (counts[name] || 0) + 1
    counts.total += 1
  })
  var link = page._links && page._links.next
  next = link && (link.href.charAt(0) === '/' ? origin + link.href : link.href)
}
return JSON.stringify(counts)
