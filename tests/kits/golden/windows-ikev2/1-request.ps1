#Requires -RunAsAdministrator
# Makes a key in this computer's TPM and a request for its certificate.
# The key cannot leave the TPM; only the request goes to the CA.
$ErrorActionPreference = 'Stop'
$provider = 'Microsoft Platform Crypto Provider'
$algorithm = 'ECDSA_P256'
$inf = Join-Path $PSScriptRoot 'request.inf'
$request = Join-Path $PSScriptRoot 'alice-phone.home.arpa.csr'

if (Test-Path -LiteralPath $request) {
    throw "$request exists: the key was made already. Take the request to the CA."
}

# What the TPM can do, before it is asked: else certreq fails with NTE_NOT_SUPPORTED (0x80090029).
# After BCryptEnumAlgorithms certutil lists what Windows can do in software, which is no help.
$told = & certutil.exe -csp $provider -csptest 2>&1 | Out-String
$able = ($told -split 'BCryptEnumAlgorithms')[0]
$found = [regex]::Matches($able, '(?m)^\s*((?:ECDSA|ECDH|RSA)\S*)\s*$') |
    ForEach-Object { $_.Groups[1].Value } | Sort-Object -Unique
if ($found -notcontains $algorithm) {
    throw "The TPM cannot make $algorithm. It names: $($found -join ', '). Is there a TPM 2.0, and is it ready? See tpm.msc."
}

& certreq.exe -new $inf $request
if ($LASTEXITCODE -ne 0) { throw "certreq -new failed with $LASTEXITCODE" }
Write-Host "Take $request to the CA."
