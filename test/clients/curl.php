<?php
// One curl handle with a cookie jar. It signs in with JSON and uploads with Expect: 100-continue.
$base = getenv('BASE');
$handle = curl_init();

function ask(string $url, array $options = [], array $fields = []): string
{
    global $handle;
    curl_reset($handle);
    curl_setopt_array($handle, $options + [
        CURLOPT_URL => $url,
        CURLOPT_HTTPHEADER => $fields,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_COOKIEFILE => '',
        CURLOPT_ENCODING => '',
        CURLOPT_FAILONERROR => true,
        CURLOPT_TIMEOUT => 20,
    ]);
    if (getenv('CA') !== '') curl_setopt($handle, CURLOPT_CAINFO, getenv('CA'));
    $body = curl_exec($handle);
    if ($body === false) throw new Exception("$url: " . curl_error($handle));
    return $body;
}

function tell(string $name): void
{
    global $handle;
    echo $name, ' ', curl_getinfo($handle, CURLINFO_RESPONSE_CODE), "\n";
}

ask($base . getenv('LIST'), [CURLOPT_USERPWD => 'nobody:n0nsense']);
tell('basic');
ask($base . getenv('LIST'), [], ['Authorization: Bearer ' . getenv('EARLIER')]);
tell('earlier');

$credentials = ['grant_type' => 'password', 'username' => 'nobody', 'password' => 'n0nsense &+=%'];
$answer = ask($base . getenv('TOKEN'), [CURLOPT_POSTFIELDS => json_encode($credentials)], ['Content-Type: application/json']);
tell('signed-in');
$token = json_decode($answer)->access_token;
$bearer = ["Authorization: Bearer $token"];
echo "token $token\n";

$origin = implode('/', array_slice(explode('/', $base), 0, 3));
$items = 0;
for ($next = $base . getenv('LIST'); $next !== null;) {
    $page = json_decode(ask($next, [], $bearer), true);
    $items += count($page['results']);
    $next = $page['_links']['next']['href'] ?? null;
    if ($next !== null && $next[0] === '/') $next = $origin . $next;
}
echo "items $items\n";

echo 'download ', hash('sha256', ask($base . getenv('DOWNLOAD'), [], $bearer)), "\n";
$file = fopen(getenv('FILE'), 'rb');
$upload = [CURLOPT_UPLOAD => true, CURLOPT_INFILE => $file, CURLOPT_INFILESIZE => filesize(getenv('FILE'))];
$answer = ask($base . getenv('UPLOAD'), $upload, [...$bearer, 'Expect: 100-continue']);
echo 'upload ', json_decode($answer)->sha256, "\n";

[$method, $path] = explode(' ', getenv('SIGN_OUT'));
ask($base . $path, [CURLOPT_CUSTOMREQUEST => $method], [...$bearer, 'Content-Type: application/json']);
tell('signed-out');
