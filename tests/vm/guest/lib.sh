# SPDX-License-Identifier: Apache-2.0
# Shell functions for the guest scripts of the cases (busybox sh); sourced before each.

# fail TEXT…: ends the case as failed.
fail() {
    echo "guest: $*"
    exit 1
}

# wait_for SECONDS COMMAND…: repeats the command until it succeeds; fails after that time.
wait_for() {
    local limit=$1 start
    shift
    start=$(cut -d. -f1 /proc/uptime)
    until "$@"; do
        [ $(($(cut -d. -f1 /proc/uptime) - start)) -lt "$limit" ] || return 1
        sleep 0.2
    done
}

# start_recorder OPTIONS…: starts the recorder with a window on the state disk and waits until it records.
# No cost budget unless it is given. Its output goes to /var/out/record.log, its pid to $recorder.
start_recorder() {
    # An emulated machine is so slow that recording everything would exceed any budget.
    case " $* " in *" --budget "*) ;; *) set -- --budget off "$@" ;; esac
    flightrec record --window /var/lib/flightrec/window.flight --window-size 16M "$@" >/var/out/record.log 2>&1 &
    recorder=$!
    if ! wait_for 60 grep -q recording /var/out/record.log; then
        cat /var/out/record.log
        fail "the recorder did not say that it is recording"
    fi
}

# stop_recorder: SIGTERM, and it must end cleanly.
stop_recorder() {
    kill -TERM "$recorder"
    wait "$recorder" || fail "the recorder ended with $?: $(tail -n 5 /var/out/record.log)"
}

# dumps_arrived N: whether at least N dumps have arrived at nginx outside, whatever the recorder says.
dumps_arrived() { [ "$(wget -q -O - "$SINK" | grep -c '\.flight"')" -ge "$1" ]; }

# await_dumps N: waits until N dumps have arrived outside; else the case has failed.
await_dumps() {
    wait_for 90 dumps_arrived "$1" || fail "fewer than $1 dumps arrived: $(tail -n 5 /var/out/record.log)"
}
