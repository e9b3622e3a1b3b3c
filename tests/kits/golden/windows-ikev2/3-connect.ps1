#Requires -RunAsAdministrator
# Makes the VPN connection, for every user of this computer.
$ErrorActionPreference = 'Stop'
$name = 'Home VPN'
$type = 'System.Security.Cryptography.X509Certificates.X509Certificate2'
$root = New-Object $type (Join-Path $PSScriptRoot 'root.cer')

if (Get-VpnConnection -AllUserConnection -Name $name -ErrorAction SilentlyContinue) {
    Remove-VpnConnection -AllUserConnection -Name $name -Force
}
Add-VpnConnection -AllUserConnection -Name $name -ServerAddress 'vpn.home.arpa' `
    -TunnelType Ikev2 -AuthenticationMethod MachineCertificate -EncryptionLevel Required `
    -MachineCertificateIssuerFilter $root -Force
# by itself Windows would propose MODP-1024
Set-VpnConnectionIPsecConfiguration -AllUserConnection -ConnectionName $name `
    -EncryptionMethod GCMAES256 -IntegrityCheckMethod SHA384 -DHGroup ECP384 `
    -CipherTransformConstants GCMAES256 -AuthenticationTransformConstants GCMAES256 `
    -PfsGroup ECP384 -Force
Write-Host "Made: $name. Connect in Settings, Network & internet, VPN."
