#!/bin/sh
# How many jobs ended how: every page of a list with curl and nothing else, for a cron job. Run: sh curl.sh
# The proxy signs in; the links to the next page lead to the proxy.
set -eu

proxy=http://127.0.0.1:8080
next='/tenant/v8/Jobs?limit=50'

statuses=
while [ -n "$next" ]; do
  page=$(curl --silent --show-error --fail-with-body "$proxy$next")
  statuses="$statuses $(printf %s "$page" | grep -o '"lastStatus":"[^"]*' | cut -d'"' -f4)"
  next=$(printf %s "$page" | grep -o '"next":{"href":"[^"]*' | cut -d'"' -f6)
done
printf '%s\n' $statuses | sort | uniq -c
