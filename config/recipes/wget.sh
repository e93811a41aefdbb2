#!/bin/sh
# How many policies ended how: a list in one request with wget. Run: sh wget.sh
# $limit is a parameter of this product; x-api-version, which it wants, is the proxy's business.
set -eu

list=$(wget --no-verbose --output-document=- 'http://127.0.0.1:8080/gcp/api/v1/policies?$limit=1000')
printf %s "$list" | grep -o '"lastSessionStatus":"[^"]*' | cut -d'"' -f4 | sort | uniq -c
