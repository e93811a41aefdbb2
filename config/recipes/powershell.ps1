# How many jobs ended how: every page of a list with PowerShell, 5.1 and later. Run: powershell -File powershell.ps1

$ErrorActionPreference = 'Stop'
$next = 'http://127.0.0.1:8080/tenant/v8/Jobs?limit=50'

$jobs = while ($next) {
    $page = Invoke-RestMethod -Uri $next
    $page.results
    $next = if ($page._links.next) { [Uri]::new([Uri]$next, $page._links.next.href).AbsoluteUri }
}

$jobs | Group-Object -Property lastStatus -NoElement | Sort-Object -Property Count -Descending
