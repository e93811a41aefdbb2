#!/bin/sh
# Requests typed by a person: HTTP/1.0 and 1.1, field names in odd cases.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
host=$(echo "$BASE" | cut -d/ -f3)
# Sends what it reads, prints the status; the body is in a file.
type_in() {
  openssl s_client -quiet -nocommands -connect "$host" -servername localhost -CAfile "$CA" -verify_return_error \
    -verify_hostname localhost 2>"$folder/said" >"$folder/raw"
  sed '1,/^\r$/d' "$folder/raw" >"$folder/answer"
  head -n 1 "$folder/raw" | cut -d' ' -f2
}
line() {
  printf '%s\r\n' "$@"
}

echo "earlier $(line "GET $LIST HTTP/1.0" 'Host: localhost' "Authorization: Bearer $EARLIER" '' | type_in)"
form='grant_type=password&username=nobody&password=n0nsense'
echo "signed-in $({
  line "POST $TOKEN HTTP/1.1" "HOST: $host" 'CONNECTION: close' 'CONTENT-TYPE: application/x-www-form-urlencoded' \
    "CONTENT-LENGTH: ${#form}" ''
  printf %s "$form"
} | type_in)"
token=$(grep -o '"access_token": *"[^"]*' "$folder/answer" | cut -d'"' -f4)
bearer="aUTHORIZATION: bearer $token"
echo "token $token"

items=0
next=$LIST
while [ -n "$next" ]; do
  [ "$(line "GET $next HTTP/1.0" "Host: $host" "$bearer" '' | type_in)" = 200 ]
  items=$((items + $(grep -o '"id":"' "$folder/answer" | wc -l)))
  next=$(grep -o '"next":{"href":"[^"]*' "$folder/answer" | cut -d'"' -f6)
  # Any other origin than the one it came to would leave something that is no path.
  next=${next#"https://$host"}
done
echo "items $items"

line "GET $DOWNLOAD HTTP/1.0" "Host: $host" "$bearer" '' | type_in >"$folder/status"
echo "download $(sha256sum <"$folder/answer" | cut -d' ' -f1)"
size=$(wc -c <"$FILE")
{
  line "POST $UPLOAD HTTP/1.1" "Host: $host" "$bearer" 'Connection: close' 'Transfer-Encoding: chunked' ''
  line "$(printf %x $((size - 5)))"
  head -c $((size - 5)) "$FILE"
  line '' '5;typed=by-hand'
  tail -c 5 "$FILE"
  line '' 0 ''
} | type_in >"$folder/status"
echo "chunked $(grep -o '"sha256":"[^"]*' "$folder/answer" | cut -d'"' -f4)"
echo "signed-out $(line "${SIGN_OUT% *} ${SIGN_OUT#* } HTTP/1.1" "Host: $host" "$bearer" 'Connection: close' '' '' | type_in)"
