#!/bin/sh
# A gateway without models and a box, as two processes on this machine: makes a code, enrols the box by it, asks it three times by
# the relay, and prints the time of each step. Everything is in a temporary folder, which is removed at the end.
#
#   tests/by-hand/box.sh [path of hearth]
#
# It needs curl and perl.
set -eu

hearth=${1:-hearth}
folder=$(mktemp -d)
gateway= box=

clean_up() {
    [ -z "$box" ] || kill -INT "$box" 2>/dev/null || true
    [ -z "$box" ] || wait "$box" 2>/dev/null || true
    [ -z "$gateway" ] || kill -INT "$gateway" 2>/dev/null || true
    [ -z "$gateway" ] || wait "$gateway" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

now() { perl -MTime::HiRes=time -e 'printf "%.0f", time * 1000'; }
began=$(now)
step() { printf '%6d ms  %s\n' "$(($(now) - began))" "$1"; began=$(now); }
field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$2" | head -n 1; }

# Waits until the file $1 has a line, which the process $2 writes when it is ready. $3: its log.
wait_for_line() {
    tries=0
    until [ -s "$1" ]; do
        tries=$((tries + 1))
        if [ "$tries" -gt 600 ] || ! kill -0 "$2" 2>/dev/null; then
            cat "$3" >&2
            echo "it has ended, or isn't ready within 60 s" >&2
            exit 1
        fi
        perl -e 'select undef, undef, undef, 0.1'
    done
}

"$hearth" up --no-node --data "$folder/gateway" --port 0 --json >"$folder/up.json" 2>"$folder/up.log" &
gateway=$!
wait_for_line "$folder/up.json" "$gateway" "$folder/up.log"
url=$(field url "$folder/up.json") token=$(field token "$folder/up.json")
step "the gateway serves at $url"

curl -sf "$url/v1/nodes/codes" -H "authorization: Bearer $token" -H 'content-type: application/json' -d '{}' >"$folder/code.json"
code=$(field code "$folder/code.json")
step "it has made a code"

"$hearth" node enroll "$url" "$code" --name box --data "$folder/box" >"$folder/enroll.txt" 2>&1 || { cat "$folder/enroll.txt"; exit 1; }
step "the box is enrolled"

"$hearth" node run --data "$folder/box" --json >"$folder/run.json" 2>"$folder/run.log" &
box=$!
wait_for_line "$folder/run.json" "$box" "$folder/run.log"
step "the box has loaded its model and is connected"

until curl -sf "$url/v1/models" -H "authorization: Bearer $token" | grep -q '"tiny-chat"'; do
    perl -e 'select undef, undef, undef, 0.05'
done
step "the gateway lists the box's model"

for number in 1 2 3; do
    curl -sfN "$url/v1/chat/completions" -H "authorization: Bearer $token" -H 'content-type: application/json' \
        -w '%{stderr}%{time_starttransfer} s to the first byte, %{time_total} s to the end\n' \
        -d '{"model": "tiny-chat", "messages": [{"role": "user", "content": "What is the capital of France?"}], "stream": true}' \
        >"$folder/answer.txt" 2>"$folder/times.txt"
    grep -q '\[DONE\]' "$folder/answer.txt" || { cat "$folder/answer.txt"; exit 1; }
    step "answer $number, streamed by the relay: $(cat "$folder/times.txt")"
done
sed -n 's/.*"delta":{[^}]*"content":"\([^"]*\)".*/\1/p' "$folder/answer.txt" | tr -d '\n'
echo
curl -sf "$url/v1/nodes" -H "authorization: Bearer $token" >"$folder/nodes.json"
echo "the box is reached by: $(field transport "$folder/nodes.json")"
