// Processes on this node: those in the containers of a Pod, and the parts of the embedded cluster, which can be restarted as they were.
// It finds only processes that the cluster of these tests started.
// Used by targets.ts and moments.ts.
import { spawn } from "node:child_process"
import { openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

const state = process.env.CLUSTER_STATE ?? "/var/lib/agent-job-cluster"

const fileOf = (pid: string, name: string): string => {
  try {
    return readFileSync(join("/proc", pid, name), "latin1")
  } catch {
    return "" // the process has just ended
  }
}
const words = (text: string): ReadonlyArray<string> => text.split("\0").filter((word) => word !== "")

/** Returns the ids of the processes in the Pod's containers whose command line matches. */
export const inPod = (pod: string, commandLine: RegExp): ReadonlyArray<number> =>
  readdirSync("/proc").filter((pid) =>
    /^\d+$/u.test(pid) && words(fileOf(pid, "environ")).includes(`HOSTNAME=${pod}`) &&
    commandLine.test(words(fileOf(pid, "cmdline")).join(" "))
  ).map(Number)

/** Kills these processes with SIGKILL. Returns how many of them were still alive. */
export const kill = (pids: ReadonlyArray<number>): number => {
  const living = pids.filter((pid) => fileOf(String(pid), "cmdline") !== "")
  for (const pid of living) {
    try {
      process.kill(pid, "SIGKILL")
    } catch {} // it ended together with another of them
  }
  return living.length
}

/** A program that joins the cgroup it is given, and takes more memory than there is. It begins small, or the kernel would choose it. */
const eat = `echo $$ >"$0" && exec dd if=/dev/zero of=/dev/null bs=1G`

const memoryOf = (group: string, file: string) => join("/sys/fs/cgroup/memory", group, file)

/** Returns how often the kernel's OOM killer has ended a process of the cgroup. */
const kills = (group: string): number => Number(/^oom_kill (\d+)$/mu.exec(readFileSync(memoryOf(group, "memory.oom_control"), "utf8"))?.[1])

/** Stops these processes where they are. Returns those that were still there. */
export const freeze = (pids: ReadonlyArray<number>): ReadonlyArray<number> =>
  pids.filter((pid) => {
    try {
      process.kill(pid, "SIGSTOP")
      return fileOf(String(pid), "cmdline") !== ""
    } catch {
      return false // it has just ended
    }
  })

/** Lets frozen processes go on. */
export const thaw = (pids: ReadonlyArray<number>): void => {
  for (const pid of pids) process.kill(pid, "SIGCONT") // one that stands still cannot end by itself
}

/**
 * Uses up the memory of the container in which these frozen processes are until the OOM killer has ended one of them; fails if it ends none.
 * It lowers the container's limit first, so that this is soon. They are frozen because they would else do more, or end, before the kernel
 * comes.
 */
export const starve = async (pids: ReadonlyArray<number>): Promise<void> => {
  const [first] = pids
  const group = first === undefined ? undefined : /^\d+:memory:(.+)$/mu.exec(fileOf(String(first), "cgroup"))?.[1]
  if (group === undefined) throw new Error("There is no such process to starve, or no group of its memory")
  const before = kills(group)
  for (const pid of pids) writeFileSync(join("/proc", String(pid), "oom_score_adj"), "1000") // the kernel kills these first
  writeFileSync(
    memoryOf(group, "memory.limit_in_bytes"),
    String(Number(readFileSync(memoryOf(group, "memory.usage_in_bytes"), "utf8")) + 32 * 2 ** 20)
  )
  const eater = spawn("sh", ["-c", eat, memoryOf(group, "cgroup.procs")], { stdio: "ignore" })
  const alive = () => pids.every((pid) => fileOf(String(pid), "cmdline") !== "")
  for (let waited = 0; waited < 20_000 && (alive() || kills(group) === before); waited += 5) await sleep(5)
  const byKernel = kills(group) > before
  eater.kill("SIGKILL")
  if (!byKernel || alive()) throw new Error("The kernel killed none of these processes for want of memory")
}

/** Returns the start time in /proc/PID/stat, the 20th field after the program's name. With the id, it identifies a process for good. */
const startedAt = (pid: number): string => fileOf(String(pid), "stat").replace(/^.*\) /su, "").split(" ")[19] ?? ""

/** Kills a part of the cluster. Returns a function that starts it again as it was. */
export const killPart = (name: string): () => void => {
  const file = join(state, "processes", name)
  const [pid = ""] = readFileSync(file, "utf8").split(" ")
  const [program = "", ...args] = words(fileOf(pid, "cmdline"))
  const env = Object.fromEntries(
    words(fileOf(pid, "environ")).map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)])
  )
  const cwd = readlinkSync(join("/proc", pid, "cwd"))
  void kill([Number(pid)])
  return () => {
    const log = openSync(join(state, "logs", `${name}.log`), "a")
    const child = spawn(program, args, { env, cwd, detached: true, stdio: ["ignore", log, log] })
    child.unref()
    writeFileSync(file, `${child.pid} ${startedAt(child.pid ?? 0)}\n`)
  }
}
