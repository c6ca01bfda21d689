# SPDX-License-Identifier: Apache-2.0
# Shell functions for a control group scope, of either cgroup version; sourced by scripts/demo and by tests.
# shellcheck shell=bash
#
#   scope_make NAME [MEMORY_BYTES]   makes it; sets $scope_path (the version 2 directory, for --scope)
#   scope_child NAME MEMORY_BYTES    a group below it with a limit of its own; sets $scope_child_path
#   scope_run PATH COMMAND…          runs a command inside the scope or child with that version 2 directory
#   scope_remove                     ends what still runs in it (only there) and removes all of it

# cgroup_mount v2|CONTROLLER: mount point of the version 2 hierarchy or of a version 1 controller; empty: none.
cgroup_mount() {
    awk -v wanted="$1" '{
        for (i = 7; i <= NF && $i != "-"; i++);
        type = $(i + 1); options = "," $(i + 3) ",";
        if (wanted == "v2" ? type == "cgroup2" : type == "cgroup" && index(options, "," wanted ",")) { print $5; exit }
    }' /proc/self/mountinfo
}

# scope_set_memory PATH BYTES: the memory limit of the group with that version 2 directory.
scope_set_memory() {
    local group="$scope_memory_root${1#"$scope_root"}"
    if [ -e "$group/memory.limit_in_bytes" ]; then
        echo "$2" >"$group/memory.limit_in_bytes"
    elif [ -e "$group/memory.max" ]; then
        echo "$2" >"$group/memory.max"
        # Without this the group would go to swap before it is out of memory.
        if [ -e "$group/memory.swap.max" ]; then echo 0 >"$group/memory.swap.max"; fi
    else
        echo "scope: neither cgroup version has a memory controller here; boot with cgroup_enable=memory" >&2
        return 1
    fi
}

# scope_mkdir PATH: the group in version 2 and, where that controller lives there, in the version 1 memory hierarchy.
scope_mkdir() {
    mkdir "$1"
    if [ "$scope_memory_root" != "$scope_root" ]; then mkdir "$scope_memory_root${1#"$scope_root"}"; fi
}

# scope_enable PATH: a version 2 group hands its memory and pids controllers to its children, if it has them.
scope_enable() {
    local controller
    for controller in memory pids; do
        if grep -qw "$controller" "$1/cgroup.controllers"; then echo "+$controller" >"$1/cgroup.subtree_control"; fi
    done
}

scope_make() {
    scope_root=$(cgroup_mount v2)
    if [ -z "$scope_root" ]; then
        echo "scope: no version 2 control group hierarchy is mounted; mount one: mount -t cgroup2 cgroup2 DIRECTORY" >&2
        return 1
    fi
    scope_memory_root=$(cgroup_mount memory)
    scope_memory_root=${scope_memory_root:-$scope_root}
    scope_enable "$scope_root"
    scope_path="$scope_root/$1"
    scope_mkdir "$scope_path"
    scope_enable "$scope_path"
    if [ $# -gt 1 ]; then scope_set_memory "$scope_path" "$2"; fi
}

scope_child() {
    scope_child_path="$scope_path/$1"
    scope_mkdir "$scope_child_path"
    scope_set_memory "$scope_child_path" "$2"
}

scope_run() {
    local path=$1
    shift
    (
        echo "$BASHPID" >"$path/cgroup.procs"
        if [ "$scope_memory_root" != "$scope_root" ]; then
            echo "$BASHPID" >"$scope_memory_root${path#"$scope_root"}/cgroup.procs"
        fi
        exec "$@"
    )
}

scope_remove() {
    local directory pid attempt
    [ -n "${scope_path:-}" ] && [ -d "$scope_path" ] || return 0
    if [ -e "$scope_path/cgroup.kill" ]; then
        echo 1 >"$scope_path/cgroup.kill"
    else
        while read -r pid; do kill -KILL "$pid" 2>/dev/null || true; done < <(cat "$scope_path"/cgroup.procs "$scope_path"/*/cgroup.procs 2>/dev/null)
    fi
    for directory in "$scope_path" "$scope_memory_root${scope_path#"$scope_root"}"; do
        for attempt in $(seq 100); do
            [ -d "$directory" ] || break
            # Deepest first; a killed process leaves its group a moment after its end.
            find "$directory" -depth -type d -exec rmdir {} \; 2>/dev/null || true
            [ ! -d "$directory" ] || sleep 0.05
        done
        if [ -d "$directory" ]; then echo "scope: cannot remove $directory (attempt $attempt)" >&2; fi
    done
    scope_path=
}
