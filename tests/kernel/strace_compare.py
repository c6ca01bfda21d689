#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares a replay with what strace printed of the same run: same calls, same order per thread, same arguments.

    strace_compare.py --replay REPLAY.jsonl --strace FILE [--raw] [--show N] [--ignore NAME,…]

REPLAY.jsonl: `flightrec replay --json`; the objects of class "syscall" are compared. strace itself makes some ten calls
for each that it prints, so leave it out of the recorder's scope and have only the program enter:

    strace -f -s 4096 -o FILE sh -c 'echo $$ > /sys/fs/cgroup/SCOPE/cgroup.procs; exec "$@"' sh PROGRAM … FILE: the output of
`strace -f -s 4096 -o FILE`, or with --raw of `strace -f -e raw=all -o FILE`.

What strace prints and the recorder leaves out on purpose (contents of buffers, structures that the kernel wrote, the
environment) is known from the kind of the argument in schemas/syscalls/syscalls.tbl: there the address is compared in
a --raw run, and nothing in the other. Exits 1 when something differs, and prints it.
"""
import argparse
import collections
import json
import pathlib
import re
import socket
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "schemas" / "syscalls"))
import generate  # noqa: E402

# Kinds of which strace shows what they point to, and the recorder the address only.
ADDRESS_ONLY = {
    "pointer", "buffer_in", "buffer_out", "struct_in", "struct_out", "envp", "fd_set", "sigset_pack_in", "loff_inout",
    "timespec_inout", "timeval_inout", "timespec_left", "ioctl_arg", "prctl_arg", "semctl_arg", "ptrace_addr",
    "ptrace_data", "keyctl_arg", "mq_attr_if_creat", "arch_prctl_arg", "fsconfig_value", "kcmp_index", "hex64",
    "reboot_arg",
}
FD_KINDS = {"fd", "dirfd", "fanotify_dirfd"}
# Shown as an address by both sides where the call failed or the kernel wrote nothing; strace 6.1 shows the address of
# some of them even where it could show more.
WRITTEN = re.compile(r"_out$")
# strace leaves these as addresses when the call failed.
STRACE_ADDRESS = {("epoll_pwait", "sigset_in"), ("epoll_pwait2", "sigset_in"), ("epoll_pwait2", "timespec_in")}


def read_table():
    """{name: [kind of each argument]} for x86-64, in the order strace shows them."""
    table = {}
    for name, x86_64, _, _, args, _ in generate.parse(generate.TABLE.read_text()):
        if x86_64 >= 0:
            table[name] = [kind for kind, _ in args if kind != "unused"]
    return table


def split_args(text):
    """Splits at the commas outside of strings, brackets and comments."""
    out, current, depth, at = [], "", 0, 0
    while at < len(text):
        c = text[at]
        if text.startswith("/*", at):
            end = text.find("*/", at)
            end = len(text) if end < 0 else end + 2
            current += text[at:end]
            at = end
            continue
        if c == '"':
            end = at + 1
            while end < len(text) and text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            current += text[at:end + 1]
            at = end + 1
            continue
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        if c == "," and depth == 0:
            out.append(current.strip())
            current = ""
        else:
            current += c
        at += 1
    if current.strip():
        out.append(current.strip())
    return out


class Call(collections.namedtuple("Call", "tid name args result errno line")):
    """One call. result: int, or None where it never returned; errno: name or None."""


RESUMED = re.compile(r"<\.\.\. (\w+) resumed>(.*)$", re.S)
RESULT = re.compile(r"\)\s+= (\?|-?0x[0-9a-f]+|-?\d+)(?: (E[A-Z0-9_]+)\b| \(errno (\d+)\))?", re.S)


def parse_result(text):
    """(arguments, result, errno) of `args) = result …`; the last `) = ` counts, strings may hold others."""
    found = None
    for match in RESULT.finditer(text):
        found = match
    if not found:
        return text.rstrip(")\n "), None, None
    value, name, number = found.groups()
    result = None if value == "?" else int(value, 8) if re.fullmatch(r"0[0-7]+", value) else int(value, 0)
    return text[:found.start()], result, name or number


def parse_strace(lines):
    """Calls in the order in which they were entered."""
    pending, calls = {}, []
    for line in lines:
        match = re.match(r"(?:(\d+) +|\[pid +(\d+)\] )?(.*)$", line.rstrip("\n"), re.S)
        tid, rest = int(match.group(1) or match.group(2) or 0), match.group(3)
        if rest.startswith(("---", "+++", "strace:")) or not rest:
            continue
        resumed = RESUMED.match(rest)
        if resumed:
            if tid not in pending:
                continue
            index, name, head = pending.pop(tid)
            rest = head + resumed.group(2)
            calls[index] = make_call(tid, name, rest, line)
            continue
        match = re.match(r"(\w+)\((.*)$", rest, re.S)
        if not match:
            continue
        name, body = match.groups()
        if body.endswith("<unfinished ...>"):
            pending[tid] = (len(calls), name, body[:-len("<unfinished ...>")].rstrip())
            calls.append(None)
            continue
        calls.append(make_call(tid, name, body, line))
    for index, name, body in pending.values():  # never resumed: the thread died in it
        calls[index] = Call(next(t for t, p in pending.items() if p[0] == index), name, split_args(body), None, None, body)
    return [call for call in calls if call is not None]


def make_call(tid, name, body, line):
    args, result, errno = parse_result(body.replace("<unfinished ...>", ""))
    return Call(tid, name, split_args(args), result, errno, line.rstrip("\n"))


def parse_replay(lines):
    calls = []
    for line in lines:
        event = json.loads(line)
        if event.get("class") == "marker" and event.get("kind") == "gap":
            print("the replay has a gap, events were overwritten before they were read, so calls are missing")
        if event.get("class") != "syscall":
            continue
        calls.append((event["tid"], event))
    return calls


# ---- comparing ---------------------------------------------------------------------------------------------------


def normal(text):
    """What differs without meaning a difference: dates, lengths before a call, numbers of variables, device names."""
    text = re.sub(r" /\* \d+ (vars|entries)[^*]*\*/", "", text)
    text = re.sub(r" /\* \d{4}-\d\d-\d\dT[^*]*\*/", "", text)
    text = re.sub(r"\[\d+ => (\d+)\]", r"[\1]", text)
    text = re.sub(r" => \{[^}]*\}", "", text)
    text = re.sub(r'if_nametoindex\("(\w+)"\)', lambda m: str(index_of(m.group(1))), text)
    return text


def without_names(kind, text):
    """`3</etc/passwd>` as `3`: strace shows names of descriptors only with -y, and others than ours."""
    if kind in FD_KINDS:
        return re.sub(r"^(-?\d+|AT_FDCWD)<.*>$", r"\1", text, flags=re.S)
    if kind in ("fd_pair_out", "pollfds", "pointer"):
        return re.sub(r"(fd=-?\d+|^\[\d+|, \d+)<.*?>(?=[,}\]])", r"\1", text)
    return text


def index_of(interface):
    try:
        return socket.if_nametoindex(interface)
    except OSError:
        return interface


def same_text(theirs, ours):
    theirs, ours = normal(theirs), normal(ours)
    if theirs == ours:
        return True
    for cut, whole in ((theirs, ours), (ours, theirs)):  # one of the two was cut earlier
        end = re.search(r'("\.\.\.|"\.\.\., \.\.\.\]|, \.\.\.[\]}])$', cut)
        if end and whole.startswith(cut[:end.start()]):
            return True
    return False


def pointed_to(text):
    return text.startswith(("{", "[", '"', "~[", "@"))


def compare_arg(call_name, kind, theirs, ours):
    """None when equal, "address" when only the address is recorded, else what differs."""
    ours = without_names(kind, ours)
    if same_text(theirs, ours):
        return None
    plain = re.fullmatch(r"0x[0-9a-f]+|NULL|0", ours)
    if kind in ADDRESS_ONLY and (plain or pointed_to(theirs)):
        return "address"
    if kind == "fcntl_arg" and theirs.startswith("{type=F_OWNER"):  # struct f_owner_ex
        return "address"
    if kind == "ioctl_arg" or (kind == "ioctl_cmd" and " or " in theirs):
        return "address"
    if WRITTEN.search(kind) and plain and not pointed_to(ours):
        return "address"
    if (call_name, kind) in STRACE_ADDRESS and re.fullmatch(r"0x[0-9a-f]+", theirs):
        return "address"
    return f"strace {theirs}, replay {ours}"


def shown_kinds(name, kinds, count):
    if name in ("clone",):
        return [None] * count
    if name == "futex" or len(kinds) != count:
        # Hidden arguments: pair from the left, which holds as hidden ones stand at the end but for these.
        hidden = {"ptrace": {3: [0, 1, 3]}, "quotactl": {3: [0, 1, 3]}, "futex": {}}.get(name, {}).get(count)
        return [kinds[i] for i in hidden] if hidden else (kinds + [None] * count)[:count]
    return kinds


ADDRESSES = None  # --addresses: a list of what is compared as an address only


def compare_decoded(call, event, table):
    theirs, ours = call.args, event["text"]
    if call.name in ("restart_syscall", "rt_sigreturn"):  # strace shows what they restore
        return [], 0
    if len(theirs) != len(ours):
        return [f"{len(theirs)} arguments in strace, {len(ours)} in the replay: {', '.join(ours)}"], 0
    lines, addresses = [], 0
    for i, kind in enumerate(shown_kinds(call.name, table.get(call.name, []), len(theirs))):
        difference = compare_arg(call.name, kind or "", theirs[i], ours[i])
        if difference == "address":
            addresses += 1
            if ADDRESSES is not None:
                ADDRESSES.append(f"{call.name} {kind}: strace {theirs[i]}, replay {ours[i]}")
        elif difference:
            lines.append(f"argument {i}: {difference}")
    return lines, addresses


def compare_raw(call, event):
    theirs, ours = [int(a, 16) for a in call.args if re.fullmatch(r"0x[0-9a-f]+|0", a)], [int(a, 16) for a in event["args"]]
    if call.name in ("restart_syscall", "rt_sigreturn") or not theirs and ours:
        return []
    if theirs != ours[:len(theirs)]:
        return [f"arguments: strace {[hex(a) for a in theirs]}, replay {[hex(a) for a in ours]}"]
    return []


def compare_result(call, event):
    result, errno = event.get("result"), event.get("errno")
    if call.result is None and call.errno is None:  # strace saw the thread die in it
        return []  # the kernel may still have finished the call
    if call.errno is not None:
        if call.errno == errno or str(call.errno).isdigit():
            return []
        return [f"errno: strace {call.errno}, replay {errno}"]
    if result != call.result and (result is None or result % 2**64 != call.result % 2**64):
        return [f"result: strace {call.result}, replay {result}"]
    return []


def threads(calls):
    out = collections.OrderedDict()
    for tid, call in calls:
        out.setdefault(tid, []).append(call)
    return out


def trim_start(calls, events):
    """Drops what only one side can show: the child's own return from clone, which strace does not print; and of the
    thread that strace started, all before its first execve that both saw (it may have entered the scope on its way)."""
    at = 0
    while at < len(events) and events[at]["syscall"] in ("clone", "clone3", "fork", "vfork") and events[at].get("result") == 0:
        at += 1
    events = events[at:]
    if not calls or calls[0].name != "execve":
        return calls, events
    ours = [i for i, event in enumerate(events) if event["syscall"] == "execve" and event.get("result") == 0]
    theirs = [i for i, call in enumerate(calls) if call.name == "execve" and call.result == 0]
    both = min(len(ours), len(theirs))
    return (calls[theirs[-both]:], events[ours[-both]:]) if both else (calls, events)


def compare(strace, replay, raw, ignore):
    table = read_table()
    theirs, ours = threads((c.tid, c) for c in strace), threads(replay)
    if not set(theirs) & set(ours) and len(theirs) <= len(ours):  # another pid namespace: by order of appearance
        ours = dict(zip(theirs, ours.values()))
    report = collections.Counter()
    differences = []
    for tid, calls in theirs.items():
        calls = [c for c in calls if c.name not in ignore]
        events = [e for e in ours.get(tid, []) if e["syscall"] not in ignore]
        calls, events = trim_start(calls, events)
        report["threads"] += 1
        for i, call in enumerate(calls):
            if i >= len(events):
                differences.append((call.line, [f"missing in the replay ({len(calls) - i} calls of thread {tid})"]))
                break
            event = events[i]
            unnamed = re.fullmatch(r"syscall_(0x[0-9a-f]+)", call.name)  # newer than this strace
            if event["syscall"] != call.name and not (unnamed and int(unnamed.group(1), 16) == event["nr"]):
                differences.append((call.line, [f"the replay has {event['syscall']} here (call {i} of thread {tid})"]))
                break
            lines = compare_result(call, event)
            if unnamed:  # strace does not know how many arguments it has
                report["calls that strace has no name for"] += 1
            elif raw:
                lines += compare_raw(call, event)
            else:
                more, addresses = compare_decoded(call, event, table)
                lines += more
                report["arguments by address only"] += addresses
            report["calls"] += 1
            if lines:
                differences.append((call.line, lines))
        else:
            if len(events) > len(calls):
                extra = events[len(calls)]
                differences.append((f"thread {tid}", [f"the replay has {len(events) - len(calls)} more calls, the first: "
                                                      f"{extra['syscall']}({', '.join(extra['text'])})"]))
    return report, differences


def shortened(text, limit=400):
    return text if len(text) <= limit else text[:limit // 2] + " … " + text[-limit // 2:]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--replay", required=True, type=pathlib.Path)
    parser.add_argument("--strace", required=True, type=pathlib.Path)
    parser.add_argument("--raw", action="store_true", help="the strace file was made with -e raw=all")
    parser.add_argument("--show", type=int, default=20, help="how many differences to print")
    parser.add_argument("--ignore", default="", help="names of calls to leave out on both sides, with commas")
    parser.add_argument("--addresses", action="store_true", help="print what is compared as an address only")
    args = parser.parse_args()
    global ADDRESSES
    ADDRESSES = [] if args.addresses else None
    try:
        strace = parse_strace(args.strace.read_text(errors="surrogateescape").splitlines())
        replay = parse_replay(args.replay.read_text(errors="surrogateescape").splitlines())
    except OSError as error:
        sys.exit(f"cannot read {error.filename}: {error.strerror}")
    if not strace:
        sys.exit(f"{args.strace}: no system call in it")
    report, differences = compare(strace, replay, args.raw, set(filter(None, args.ignore.split(","))))
    for line, reasons in differences[:args.show]:
        print(shortened(line))
        for reason in reasons:
            print(f"    {shortened(reason)}")
    for line in ADDRESSES or []:
        print(shortened(line))
    print(", ".join(f"{count} {what}" for what, count in report.items()) + f", {len(differences)} differences")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
