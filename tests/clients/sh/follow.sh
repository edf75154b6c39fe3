#!/usr/bin/env bash
# curl: `follow.sh sse|stream|poll URL [TOKEN]` with the address of a feed. What happens is printed as lines of
# JSON.
way=$1 url=$2 position=
authorization=()
[ $# = 3 ] && authorization=(-H "Authorization: Bearer $3")
# Short, so that a test waits for the server and not for a back-off.
again=0.02

print() {
    printf '{"kind":"%s"%s}\n' "$1" "${2-}"
}

message() {
    [[ $1 =~ ^\{\"type\":\"([a-z]+)\" ]] && print event ",\"event\":\"${BASH_REMATCH[1]}\",\"data\":$1"
    [[ $1 =~ \"position\":\"([^\"]*)\" ]] && position=${BASH_REMATCH[1]}
}

# curl with the head of the response in front of its body; the words after it are more arguments.
get() {
    curl --silent --no-buffer --include "${authorization[@]}" "$@"
}

# Reads what curl writes: the status, then a message a line (or in a line of data).
read_response() {
    local line status=
    while IFS= read -r line && line=${line%$'\r'} && [ -n "$line" ]; do
        [ -n "$status" ] || { status=${line#* } && status=${status%% *}; }
    done
    case $status in
    200) [ "$way" = poll ] || print connect ;;
    204) return ;;
    '') print disconnect && sleep $again && return ;;
    *) print connect_error ",\"status\":$status" && exit ;;
    esac
    # A poll's body has no line end.
    while IFS= read -r line || [ -n "$line" ]; do
        message "${line#data: }"
    done
    [ "$way" = poll ] || { print disconnect && sleep $again; }
}

[ "$way" = poll ] && print connect
while true; do
    case $way in
    poll) read_response < <(get "$url${position:+?after=$position&wait=25}") ;;
    stream) read_response < <(get "$url/stream?after=$position") ;;
    sse) read_response < <(get ${position:+-H "Last-Event-ID: $position"} "$url/sse") ;;
    esac
done
