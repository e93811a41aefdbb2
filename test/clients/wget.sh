#!/bin/sh
# Asks for one thing after another over connections of its own.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
origin=$(echo "$BASE" | cut -d/ -f1-3)
# Prints the status; the body is in a file.
ask() {
  wget --quiet --server-response ${CA:+--ca-certificate="$CA"} -O "$folder/answer" "$@" 2>"$folder/head" || true
  grep -o 'HTTP/1.1 [0-9]*' "$folder/head" | tail -n 1 | cut -d' ' -f2
}

echo "earlier $(ask --header "Authorization: Bearer $EARLIER" "$BASE$LIST")"
echo "signed-in $(ask "$BASE$TOKEN" \
  --post-data 'Username=nobody&Password=n0nsense&refresh_token=&grant_type=Password&mfa_token=&mfa_code=')"
token=$(grep -o '"access_token": *"[^"]*' "$folder/answer" | cut -d'"' -f4)
bearer="Authorization: Bearer $token"
echo "token $token"

items=0
next=$BASE$LIST
while [ -n "$next" ]; do
  [ "$(ask --header "$bearer" "$next")" = 200 ]
  items=$((items + $(grep -o '"id":"' "$folder/answer" | wc -l)))
  next=$(grep -o '"next":{"href":"[^"]*' "$folder/answer" | cut -d'"' -f6)
  case $next in /*) next=$origin$next ;; esac
done
echo "items $items"

ask --header "$bearer" "$BASE$DOWNLOAD" >"$folder/status"
echo "download $(sha256sum <"$folder/answer" | cut -d' ' -f1)"
ask --header "$bearer" --method=PUT --body-file="$FILE" "$BASE$UPLOAD" >"$folder/status"
echo "upload $(grep -o '"sha256":"[^"]*' "$folder/answer" | cut -d'"' -f4)"
echo "signed-out $(ask --method="${SIGN_OUT% *}" --header "$bearer" "$BASE${SIGN_OUT#* }")"
