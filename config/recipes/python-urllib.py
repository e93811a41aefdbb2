"""How many sessions ended how: every page of a list with what Python brings. Run: python3 python-urllib.py"""
import json
from collections import Counter
from urllib.parse import urljoin
from urllib.request import urlopen

counts = Counter()
url = 'http://127.0.0.1:8080/tenant/v8/JobSessions?limit=100'
while url:
    with urlopen(url, timeout=60) as answer:
        page = json.load(answer)
    counts.update(session['status'] for session in page['results'])
    link = page['_links'].get('next')
    url = urljoin(url, link['href']) if link else None

for status, count in counts.most_common():
    print(count, status)
