#!/usr/bin/env bash
# Makes the secrets of compose.yaml, once: what is there stays as it is.
#   bash docs/deploy/secrets.sh [FOLDER]
set -euo pipefail
umask 077
folder=${1:-secrets}
mkdir -p "$folder"

made() { # made NAME VALUE
    [ -s "$folder/$1" ] || printf '%s' "$2" >"$folder/$1"
}
random() { python3 -c 'import secrets; print(secrets.token_urlsafe(48), end="")'; }

made secret_key "$(random)"
made postgres_password "$(random)"
made database_url "postgres://parley:$(cat "$folder/postgres_password")@postgres:5432/parley"
made s3_access_key_id "parley"
made s3_secret_access_key "$(random)"
made s3_users "{\"identities\": [{\"name\": \"parley\", \"credentials\": [{\"accessKey\": \"$(cat "$folder/s3_access_key_id")\", \"secretKey\": \"$(cat "$folder/s3_secret_access_key")\"}], \"actions\": [\"Admin\", \"Read\", \"Write\", \"List\", \"Tagging\"]}]}"
made metrics_token "$(random)"
[ -e "$folder/discord_token" ] || : >"$folder/discord_token"
# Containers are given the files themselves and read them as the user 1000; nobody else
# on this machine comes through the folder.
chmod 0644 "$folder"/* && chmod 0700 "$folder"
