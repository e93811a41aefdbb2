"""One session with a pool of connections, forms encoded by the library, links resolved against the answer's address."""
import hashlib
import os
from urllib.parse import urljoin

import requests

env = os.environ
base = env['BASE']
session = requests.Session()
session.trust_env = False
session.verify = env['CA'] or True

earlier = session.get(base + env['LIST'], headers={'Authorization': 'Bearer ' + env['EARLIER']}, timeout=20)
print('earlier', earlier.status_code)

form = {'grant_type': 'password', 'username': 'DOMAIN\\nobody', 'password': 'n0nsense &+=%', 'mfa_token': ''}
signed_in = session.post(base + env['TOKEN'], data=form, timeout=20)
print('signed-in', signed_in.status_code)
granted = signed_in.json()
# As the exporters do it when they think that the token is old.
form = {'grant_type': 'refresh_token', 'refresh_token': granted['refresh_token']}
granted = session.post(base + env['TOKEN'], data=form, timeout=20).json()
session.headers['Authorization'] = 'Bearer ' + granted['access_token']
print('token', granted['access_token'])

items = 0
url = base + env['LIST']
while url:
    answer = session.get(url, timeout=20)
    answer.raise_for_status()
    page = answer.json()
    items += len(page['results'])
    link = page['_links'].get('next')
    url = urljoin(answer.url, link['href']) if link else None
print('items', items)

with session.get(base + env['DOWNLOAD'], stream=True, timeout=20) as answer:
    digest = hashlib.sha256()
    for chunk in answer.iter_content(65536):
        digest.update(chunk)
print('download', digest.hexdigest())

with open(env['FILE'], 'rb') as file:
    print('upload', session.put(base + env['UPLOAD'], data=file, timeout=20).json()['sha256'])
with open(env['FILE'], 'rb') as file:
    chunks = iter(lambda: file.read(50000), b'')
    print('chunked', session.post(base + env['UPLOAD'], data=chunks, timeout=20).json()['sha256'])

method, path = env['SIGN_OUT'].split()
print('signed-out', session.request(method, base + path, timeout=20).status_code)
