# Puts the certificate beside the key that waits for it in the TPM.
# certreq wants to trust the CA at that moment, so the root comes in for it and goes out again:
# OpenVPN has the root in its own file. -KeepRoot leaves it.
param(
    [string]$Certificate = (Join-Path $PSScriptRoot 'alice-phone.home.arpa.cer'),
    [switch]$KeepRoot
)
$ErrorActionPreference = 'Stop'
$place = 'CurrentUser'
$keep = $KeepRoot -or $false
$type = 'System.Security.Cryptography.X509Certificates.X509Certificate2'

# the right root, or none
$root = New-Object $type (Join-Path $PSScriptRoot 'root.cer')
$sha256 = [System.Security.Cryptography.SHA256]::Create()
$print = [BitConverter]::ToString($sha256.ComputeHash($root.RawData)).Replace('-', '')
if ($print -ne '207E47849C2432C7EA5CF52A0AA8C7B6CF27761A9E17580684C9DEC11680F284') { throw 'root.cer is not the root this kit was made for.' }

# a file of `homeca sign` holds the chain too: certreq gets the first certificate alone, as DER
$leaf = New-Object $type $Certificate
$der = Join-Path ([IO.Path]::GetTempPath()) "$($leaf.Thumbprint).cer"
[IO.File]::WriteAllBytes($der, $leaf.RawData)

# what comes in, and where
$coming = @(, @('Root', $root))
$coming += , @('CA', (New-Object $type (Join-Path $PSScriptRoot 'intermediate.cer')))
$came = @()
try {
    foreach ($one in $coming) {
        $store = New-Object System.Security.Cryptography.X509Certificates.X509Store $one[0], $place
        $store.Open('ReadWrite')
        if ($store.Certificates.Find('FindByThumbprint', $one[1].Thumbprint, $false).Count -eq 0) {
            $store.Add($one[1])
            $came += , $one
        }
        $store.Close()
    }
    # the store the key is in: in the other one the certificate would have no key
    & certreq.exe -accept '-user' $der
    if ($LASTEXITCODE -ne 0) { throw "certreq -accept failed with $LASTEXITCODE" }
}
finally {
    Remove-Item -LiteralPath $der -ErrorAction SilentlyContinue
    if (-not $keep) {
        foreach ($one in $came) {
            $store = New-Object System.Security.Cryptography.X509Certificates.X509Store $one[0], $place
            $store.Open('ReadWrite')
            $store.Remove($one[1])
            $store.Close()
        }
    }
}

$mine = Get-Item -LiteralPath "Cert:\$place\My\$($leaf.Thumbprint)"
if (-not $mine.HasPrivateKey) { throw 'The certificate is there, its key is not: accept it where the request was made.' }
Write-Host "Accepted: $($mine.Subject), until $($mine.NotAfter)."
