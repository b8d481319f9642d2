#!/usr/bin/env bash
# The secrets of docker-compose.yml, made by chance: each once, none is ever overwritten. Remove the folder for new ones.
#   scripts/compose-secrets.sh
set -euo pipefail

folder=${1:-$(dirname "$0")/../deploy/compose/secrets}
# Containers read the files under ids of their own, so the files are open and the folder is shut.
mkdir -p -m 0700 "$folder"
umask 022

chance() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

# The text on standard input becomes the file $1, whole or not at all.
keep() {
    cat >"$folder/$1.new"
    mv "$folder/$1.new" "$folder/$1"
}

for name in operator_token metrics_token grafana_password; do
    [ -e "$folder/$name" ] || chance | keep "$name"
done
# These two hold one password: both or none.
if [ ! -e "$folder/amqp_url" ] || [ ! -e "$folder/rabbitmq_users.json" ]; then
    password=$(chance)
    keep rabbitmq_users.json <<END
{
  "vhosts": [{ "name": "tagmill" }],
  "users": [{ "name": "tagmill", "password": "$password", "tags": [] }],
  "permissions": [
    { "user": "tagmill", "vhost": "tagmill", "configure": "^tagmill\\\\.", "write": "^tagmill\\\\.", "read": "^tagmill\\\\." }
  ]
}
END
    printf 'amqp://tagmill:%s@rabbitmq:5672/tagmill' "$password" | keep amqp_url
fi
printf 'secrets are in %s\n' "$folder"
