#!/bin/sh
# Runs the commands that the worker leaves in <directory>/commands, one after another; the worker's side is src/worker/exec-loop.ts.
# Always holds: a command is taken by one rename before it starts, and what a restarted loop finds taken is aborted, never run again.
# Usage: sh exec-loop.sh <directory> [shell] [cgroup]. Needs mkdir, mkfifo and mv; with setsid each command has a process group of its own, with
# sleep the worker hears of a command that comes to 80 % of the memory that the container may have.
set -u
cd "$1" || exit 1
shell=${2:-/bin/sh}
cgroup=${3:-/sys/fs/cgroup}
session=
if command -v setsid >/dev/null; then session=setsid; fi

reply() { echo "$*" >&4; }

# A fifo appears under its name only when it is complete; one that is there stays, since the worker has it open across a restart.
fifo() {
  [ -p "$1" ] && return
  [ -p "$1.new" ] || mkfifo -m 660 "$1.new"
  mv "$1.new" "$1"
}

# The first steps of a command, in its own process. It leaves its pid before it asks whether the worker is gone, and the watcher asks in the
# other order, so one of them sees the other. The two outputs open when the worker reads them, and so do the events of a command that tells
# any. The command also keeps a reader of its own on both outputs: after the death of its worker it can still write while it stops, where SIGPIPE would kill it.
launch='cd "taken/$1" && echo $$ >pid && [ ! -e ../../gone ] && echo "taken $1" >&4 &&
  exec >stdout 2>stderr 5<stdout 6<stderr && exec "$2" command'

# The kernel kills without a word, so the worker is told before. Files that are cached do not count: the kernel gives up those first.
guard() {
  stat=$cgroup/memory.stat
  if ! read -r most <"$cgroup/memory.max"; then # version 1 has another place and other names
    stat=$cgroup/memory/memory.stat
    read -r most <"$cgroup/memory/memory.limit_in_bytes" || return
  fi
  [ "$most" != max ] || return
  while sleep 1 && [ -d "taken/$1" ]; do
    used=0
    while read -r kind bytes; do
      case $kind in anon | rss | shmem) used=$((used + bytes)) ;; esac
    done <"$stat"
    [ $((used / 4)) -lt $((most / 5)) ] || { reply memory "$1"; return; }
  done
}

# In the foreground, because a shell without job control makes its background children ignore SIGINT.
run() {
  running=$1
  mv "commands/$1" "taken/$1" && mkfifo -m 660 "taken/$1/stdout" "taken/$1/stderr" "taken/$1/events" &&
    { guard "$1" 2>/dev/null & } && $session "$shell" -c "$launch" launch "$1" "$shell" </dev/null 3<&-
  reply exit "$1" $?
  mv "taken/$1" ended/
  running=
}

# To the process group; to the process alone where there was no setsid. A second INT would make the engine quit without saving its state.
send() {
  [ "$1 $2" != "INT $interrupted" ] && read -r pid <"taken/$2/pid" || return
  if [ "$1" = INT ]; then interrupted=$2; fi
  kill "-$1" "-$pid" || kill "-$1" "$pid" # the one spelling for a group that bash, dash and busybox agree on
}

# The worker is the only writer of signals: their end is its death. The command then stops in order, and nothing starts any more. The worker
# sends no command before it has read of the boot, which is when its death can no longer be missed.
watch() {
  interrupted=
  exec <signals
  reply boot "$boot"
  while read -r name id; do send "$name" "$id"; done
  mkdir gone
  for folder in taken/*; do
    [ -d "$folder" ] || continue
    send INT "${folder#taken/}"
    cat "$folder/stdout" >/dev/null &
    cat "$folder/stderr" >/dev/null &
    cat "$folder/events" >/dev/null &
  done
}

leave() {
  kill "$watcher" "$reader" 2>/dev/null
  exit 0
}

mkdir -p -m 2770 commands taken ended
fifo requests
fifo signals
fifo replies
exec 3<>requests 4<>replies

running=
stopping=
watcher=
reader=
trap 'stopping=yes; [ -n "$running" ] || leave' TERM

read -r boot </proc/sys/kernel/random/uuid || boot=$$
for folder in taken/*; do
  [ -d "$folder" ] || continue
  reply aborted "${folder#taken/}"
  mv "$folder" ended/
done
watch 2>/dev/null & # after them, so that no late signal meets a process id that means another process by now
watcher=$!

# A request says only "look": what there is to do is in the directory, so a line that was lost with an earlier loop loses no command.
while :; do
  for folder in commands/*; do
    [ -d "$folder" ] && run "${folder#commands/}"
    [ -z "$stopping" ] || leave
  done
  read -r _ <&3 & # in the background, because a TERM just before a read of our own would be noticed only after it; wait misses none
  reader=$!
  wait "$reader" || exit 1
done
