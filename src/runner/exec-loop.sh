#!/bin/sh
# Runs the commands that the worker leaves in <directory>/commands, one after another; the worker's side is src/worker/engine/exec-loop.ts.
# Invariant: a command is taken by one rename before it starts; a command that a restarted loop finds taken is aborted, never run again.
# Usage: sh exec-loop.sh <directory> [shell] [cgroup]. Needs mkdir, mkfifo, mv and, once its worker is gone, cat. If there is setsid, each
# command has a process group of its own; if there is sleep, the worker is told when the container comes to 80 % of its memory limit during a command.
trap 'exit 0' TERM INT QUIT # at once, since the kernel drops a signal of process 1 that it has no trap for
set +ef -u # whatever SHELLOPTS has set in the image
case $- in *m*) set +m ;; esac # a shell without job control may know no such option, and would end
cd "$1" || exit 1
shell=${2:-/bin/sh}
cgroup=${3:-/sys/fs/cgroup}
session=
if command -v setsid >/dev/null; then session=setsid; fi

reply() { echo "$*" >&4; }

# Makes a fifo, which has its name only once it is complete. An existing one stays, since the worker has it open across a restart.
fifo() {
  [ -p "$1" ] && return
  [ -p "$1.new" ] || mkfifo -m 660 "$1.new"
  mv "$1.new" "$1"
}

# The first steps of a command, in its own process. It writes its pid before it looks whether the worker is gone; the watcher notes that the
# worker is gone before it looks for pids, so one of them sees the other. Each output opens when the worker reads it, and so does the pipe
# for events, if the command has one. The command also keeps a reader of its own on both outputs, so that it can still write while it stops
# after its worker's death: SIGPIPE would kill it otherwise. Descriptors over 2 are named wherever they go on, since mksh closes the others.
launch='cd "./taken/$1" && echo $$ >pid && [ ! -e ../../gone ] && echo "taken $1" >&4 &&
  exec >stdout 2>stderr 5<stdout 6<stderr && exec "$2" command 4>&4 5<&5 6<&6'

# Tells the worker before memory runs out, because the kernel kills without notice. Cached files do not count: the kernel drops those first.
# The limit is read at each look, since it may be changed in place. Each look starts a process, so below half of the limit there are half as
# many: from there, what grows so slowly that a look every second always comes before the kernel is still under its limit after two.
guard() {
  pause=1
  while sleep $pause && [ -d "taken/$1" ]; do
    stat=$cgroup/memory.stat
    if ! read -r most <"$cgroup/memory.max"; then # cgroup v1 has another path and other names
      stat=$cgroup/memory/memory.stat
      read -r most <"$cgroup/memory/memory.limit_in_bytes" || return
    fi
    case $most in max | ??????????????*) return ;; esac # 10 TB and more are the word of cgroup v1 for no limit
    most=${most%???} # in thousands, since mksh counts with 32 bits; memory comes in pages, so that something is left of each number
    used=0
    while read -r kind bytes; do
      case $kind in anon | rss | shmem) used=$((used + ${bytes%???})) ;; esac
    done <"$stat"
    [ $((used / 4)) -lt $((most / 5)) ] || { reply memory "$1"; return; }
    pause=1
    [ $used -ge $((most / 2)) ] || pause=2
  done
}

# Runs one command, in the foreground, because a shell without job control makes its background children ignore SIGINT. What is started in
# the background has no status of its own in zsh. A wrapper may die of a signal and leave its engine at work, so then the whole process group
# has to end, if there are setsid and sleep; the worker's harder signals still reach it, and after KILL nothing is left that could work.
run() {
  running=$1
  mv "commands/$1" "taken/$1" && mkfifo -m 660 "taken/$1/stdout" "taken/$1/stderr" "taken/$1/events" &&
    { guard "$1" 2>/dev/null & :; } && $session "$shell" -c "$launch" launch "$1" "$shell" </dev/null 3<&- 4>&4
  code=$?
  [ $code -le 255 ] || code=$((128 + code % 128)) # of a signal: ksh adds 256 to its number, yash 384
  if [ $code -gt 128 ] && [ -e "taken/$1/signalled" ] && read -r pid <"taken/$1/pid"; then
    while [ ! -e "taken/$1/killed" ] && kill -0 "-$pid" && sleep 1; do :; done 2>/dev/null
  fi
  reply exit "$1" $code
  mv "taken/$1" ended/
  running=
}

# Signals the process group, or the process alone where there is no setsid. Sends INT once: a second makes the engine quit without saving.
# Starts no process, since at the Pod's limit of them none starts; `true` instead of `:`, whose file, if it cannot be made, would end dash.
send() {
  [ "$1 $2" != "INT $interrupted" ] && read -r pid <"taken/$2/pid" || return
  if [ "$1" = INT ]; then interrupted=$2; fi
  case $1 in KILL) true >"taken/$2/killed" ;; *) true >"taken/$2/signalled" ;; esac
  kill "-$1" "-$pid" || kill "-$1" "$pid" # the one spelling for a group that bash, dash and busybox agree on
}

# Sends the signals that the worker asks for. The worker is the only writer of that pipe, so the pipe's end means that the worker is gone:
# the command then stops in order, and no other starts. The worker sends no command before it has read `boot`, after which its death cannot
# be missed. TMOUT, which images may set to end idle shells, would end a read of bash and ksh93 as well, and ksh93 heeds no other that is set
# for a read alone; it is left to the command as it is.
watch() {
  interrupted=
  exec <signals
  reply boot "$boot"
  TMOUT=0
  while read -r name id; do send "$name" "$id"; done
  true >gone
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
trap 'stopping=yes; [ -n "$running" ] || leave' TERM INT QUIT # whichever the image names as its STOPSIGNAL

read -r boot </proc/sys/kernel/random/uuid || boot=$$
for folder in taken/*; do
  [ -d "$folder" ] || continue
  reply aborted "${folder#taken/}"
  mv "$folder" ended/
done
watch 2>/dev/null & # after the taken commands, so that no late signal meets a process id that another process has by now
watcher=$!

# A request only says "look": the commands are in the directory, so no command is lost if an earlier loop read its line. It is read in the
# background: a TERM just before a read in the foreground would be noticed only after it; wait misses none.
while :; do
  for folder in commands/*; do
    [ -d "$folder" ] && run "${folder#commands/}"
    [ -z "$stopping" ] || leave
  done
  { TMOUT=0; read -r _; } <&3 &
  reader=$!
  wait "$reader" || exit 1
done
