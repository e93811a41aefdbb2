"""How many policies ended how: every page of a list with requests. Run: python3 python-requests.py"""
from collections import Counter

import requests

counts = Counter()
url = 'http://127.0.0.1:8080/azure/api/v8.1/policies?limit=10'
while url:
    answer = requests.get(url, timeout=60)
    # Also where the proxy has no session: its answer then says what to do.
    if not answer.ok:
        raise SystemExit(f'{answer.status_code}: {answer.text}')
    page = answer.json()
    counts.update(policy['backupStatus'] for policy in page['results'])
    url = page['_links'].get('next', {}).get('href')

for status, count in counts.most_common():
    print(count, status)
