"""Connection: close on every request, a method in mixed case, a password that nobody has encoded."""
import hashlib
import json
import os
import ssl
import urllib.request
from urllib.parse import urljoin

env = os.environ
base = env['BASE']
context = ssl.create_default_context(cafile=env['CA'] or None)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))


def ask(url, method=None, data=None, **fields):
    request = urllib.request.Request(url, data, {k.replace('_', '-'): v for k, v in fields.items()}, method=method)
    with opener.open(request, timeout=20) as answer:
        return answer.status, answer.read()


status, _ = ask(base + env['LIST'], Authorization='Bearer ' + env['EARLIER'])
print('earlier', status)

form = b'grant_type=password&username=DOMAIN\\nobody&password=n0nsense+%!'
status, body = ask(base + env['TOKEN'], 'POST', form, x_api_version='1.1-rev0')
print('signed-in', status)
token = json.loads(body)['access_token']
bearer = {'Authorization': 'Bearer ' + token}
print('token', token)

items = 0
url = base + env['LIST']
while url:
    page = json.loads(ask(url, **bearer)[1])
    found = page.get('results') or page.get('data') or []
    items += len(found)
    link = page.get('_links', {}).get('next')
    # Google Cloud's pages have no links, but a total.
    more = 'meta' in page and items < page['meta']['totalCount']
    url = urljoin(url, link['href']) if link else base + env['LIST'] + '&$offset=%d' % items if more else None
print('items', items)

print('download', hashlib.sha256(ask(base + env['DOWNLOAD'], **bearer)[1]).hexdigest())
with open(env['FILE'], 'rb') as file:
    print('upload', json.loads(ask(base + env['UPLOAD'], 'PUT', file.read(), **bearer)[1])['sha256'])
with open(env['FILE'], 'rb') as file:
    chunked = ask(base + env['UPLOAD'], 'POST', file, Content_Type='application/octet-stream', **bearer)
    print('chunked', json.loads(chunked[1])['sha256'])

method, path = env['SIGN_OUT'].split()
print('signed-out', ask(base + path, method, **bearer)[0])
