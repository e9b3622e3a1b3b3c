#Requires -RunAsAdministrator
# Makes this computer trust Home. -Remove takes it back.
param([switch]$Remove)
$ErrorActionPreference = 'Stop'
$type = 'System.Security.Cryptography.X509Certificates.X509Certificate2'
$root = New-Object $type (Join-Path $PSScriptRoot 'home.cer')
$sha256 = [System.Security.Cryptography.SHA256]::Create()
$print = [BitConverter]::ToString($sha256.ComputeHash($root.RawData)).Replace('-', '')
if ($print -ne '207E47849C2432C7EA5CF52A0AA8C7B6CF27761A9E17580684C9DEC11680F284') { throw 'The file is not the root this kit was made for.' }

$store = New-Object System.Security.Cryptography.X509Certificates.X509Store 'Root', 'LocalMachine'
$store.Open('ReadWrite')
try {
    if ($Remove) { $store.Remove($root) } else { $store.Add($root) }
}
finally { $store.Close() }
Write-Host "$(if ($Remove) { 'Removed' } else { 'Trusted' }): $($root.Subject)"
