#!/usr/bin/env bash
# Installs the programs the tests start; says what is missing where it may not.
set -uo pipefail
declare -A needs=(
    [chromium]=chromium [redis-server]=redis-server [espeak-ng]=espeak-ng
    [ffmpeg]=ffmpeg [unzip]=unzip [mpg123]=mpg123 [curl]=curl
)
missing=()
for program in "${!needs[@]}"; do
    command -v "$program" >/dev/null || missing+=("${needs[$program]}")
done
[ -e /usr/bin/chromium ] || missing+=(chromium)
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 \
    || command -v postgres >/dev/null || missing+=(postgresql)
ldconfig -p | grep -q libespeak-ng.so.1 || missing+=(libespeak-ng1)
[ ${#missing[@]} -eq 0 ] && exit 0

sudo=""
[ "$(id -u)" -eq 0 ] || { sudo -n true 2>/dev/null && sudo="sudo -n"; } || sudo="no"
if [ "$sudo" != no ] && command -v apt-get >/dev/null; then
    echo "Installing for the tests: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    if $sudo apt-get update -qq >/dev/null 2>&1 \
        && $sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
        exit 0
    fi
fi
echo "Not installed: ${missing[*]}. The tests that start them are skipped." >&2
[ "${CI:-}" = true ] && exit 1
exit 0
