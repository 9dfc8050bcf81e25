// How much of the machine was used by programs that do not belong to the measurement: if it was much, the measured times mean little.
// Used by the measurement of latency.
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

/** Returns the ticks of all cores together: those that were used, and all of them. */
const machine = () => {
  const [, ...ticks] = readFileSync("/proc/stat", "utf8").split("\n", 1).join().split(/\s+/u)
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, softIrq = 0, steal = 0] = ticks.map(Number)
  const used = user + nice + system + irq + softIrq + steal
  return { used, all: used + idle + wait }
}

/** Returns the ticks that a process has used; 0 if it has ended. */
const ticksOf = (pid: string): number => {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /su, "").split(" ")
    return Number(fields[11]) + Number(fields[12])
  } catch {
    return 0
  }
}

/** Returns the ids of this process, of its children and of the control plane, whose ids test/cluster keeps in the folder `processes`. */
const belonging = (processes: string): ReadonlyArray<string> => [
  String(process.pid),
  ...readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" "),
  ...readdirSync(processes).map((name) => readFileSync(join(processes, name), "utf8").split(" ")[0] ?? "")
]

/** Runs `work`; `other` is a sentence about the share of all cores that other programs used meanwhile. */
export const otherLoad = async <A>(processes: string, work: () => Promise<A>): Promise<{ readonly value: A; readonly other: string }> => {
  const pids = belonging(processes)
  const own = () => pids.reduce((sum, pid) => sum + ticksOf(pid), 0)
  const [before, ownBefore] = [machine(), own()]
  const value = await work()
  const [after, ownAfter] = [machine(), own()]
  const share = (after.used - before.used - (ownAfter - ownBefore)) / (after.all - before.all)
  return { value, other: `Other programs used ${Math.round(100 * Math.max(0, share))} % of the machine.` }
}
