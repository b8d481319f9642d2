#!/bin/sh
# Publish one tagmill job from the shell, with amqp-publish of Debian's package amqp-tools.
#
#     sh publish.sh LANE KEY=VALUE ID
#     sh publish.sh alibaba-prod env=prod i-0001
#
# For trying things: amqp-publish does not wait until the broker has confirmed the message. publish.py does, and so does
# `tagmill submit`. The broker is AMQP_URL. Keys, values and ids with quotes or backslashes need a real JSON writer.
set -eu
[ $# -eq 3 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
lane=$1 key=${2%%=*} value=${2#*=} resource=$3
case $2$3 in *[\"\\]*) echo "quotes and backslashes cannot be written here" >&2; exit 2 ;; esac

# An id that stands for this job and no other.
id=sh-$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
amqp-publish --url="${AMQP_URL:-amqp://guest:guest@127.0.0.1:5672/%2f}" \
    --exchange="${TAGMILL_EXCHANGE:-tagmill.jobs}" --routing-key="$lane" --persistent --content-type=application/json \
    --body="{\"version\":1,\"id\":\"$id\",\"lane\":\"$lane\",\"set\":{\"$key\":\"$value\"},\"resources\":[\"$resource\"]}"
echo "$id"
