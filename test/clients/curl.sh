#!/bin/sh
# As the shell collectors do it: nothing is encoded, a GET has an empty form for its body, text tools read the answer.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
origin=$(echo "$BASE" | cut -d/ -f1-3)
# Prints the status; the body is in a file.
ask() {
  curl -sS ${CA:+--cacert "$CA"} -o "$folder/answer" -w '%{http_code}' "$@"
}

echo "earlier $(ask -H "Authorization: Bearer $EARLIER" "$BASE$LIST")"
echo "signed-in $(ask -X POST -H 'Accept: application/json' "$BASE$TOKEN" \
  -d 'grant_type=password&username=DOMAIN\nobody&password=n0nsense&+%!&refresh_token=%27%27')"
token=$(grep -o '"access_token": *"[^"]*' "$folder/answer" | cut -d'"' -f4)
bearer="Authorization: Bearer $token"
echo "token $token"

items=0
next=$BASE$LIST
while [ -n "$next" ]; do
  [ "$(ask -X GET -d '' -H "$bearer" "$next")" = 200 ]
  items=$((items + $(grep -o '"id":"' "$folder/answer" | wc -l)))
  next=$(grep -o '"next":{"href":"[^"]*' "$folder/answer" | cut -d'"' -f6)
  case $next in /*) next=$origin$next ;; esac
done
echo "items $items"

ask -H "$bearer" "$BASE$DOWNLOAD" >"$folder/status"
echo "download $(sha256sum <"$folder/answer" | cut -d' ' -f1)"
# More than a megabyte: it sends Expect: 100-continue.
ask -H "$bearer" --data-binary "@$FILE" "$BASE$UPLOAD" >"$folder/status"
echo "upload $(grep -o '"sha256":"[^"]*' "$folder/answer" | cut -d'"' -f4)"
# Of unknown length: it sends chunks.
ask -H "$bearer" -X POST -T - "$BASE$UPLOAD" <"$FILE" >"$folder/status"
echo "chunked $(grep -o '"sha256":"[^"]*' "$folder/answer" | cut -d'"' -f4)"
echo "signed-out $(ask -X "${SIGN_OUT% *}" -H "$bearer" "$BASE${SIGN_OUT#* }")"
