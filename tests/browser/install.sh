#!/bin/sh
# Installs Chromium and a font that has Chinese, from Debian; does nothing where they are there.
set -eu
packages="chromium fonts-noto-cjk"
# shellcheck disable=SC2086  two packages, two words
if dpkg-query --show --showformat '${db:Status-Status}\n' $packages 2>/dev/null |
    grep -c '^installed$' | grep -qx 2; then
    exit 0
fi
as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
fi
$as_root apt-get update --quiet
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends $packages
