// The figures of the controller, against a control plane of its own: memory, start, latency, writes.
// Used by main.ts; scripts/bench starts the control plane before and ends it after.
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { openApi } from "./api.ts"
import { summary, type Write, writesIn } from "./audit.ts"
import { type Controller, imageEnvironment, type Memory, type Place, startController } from "./controller-process.ts"
import type { Figure } from "./figure.ts"
import { liveThrough, makeFinished } from "./life.ts"
import { controllerKubeconfig, installation, makeScenes, type Scene } from "./scene.ts"
import { otherLoad } from "./other-load.ts"
import { type Latencies, measureLatency, startRelay, watchJobs } from "./task-to-job.ts"

export interface ControlPlane {
  /** Files of this run; the API server writes audit.log there. */
  readonly directory: string
  readonly kubeconfig: string
  /** Folder in which its process ids are. */
  readonly processes: string
  /** Tells what is going on. */
  readonly say: (what: string) => void
}

const tasks = 1000
const starts = 7
const quietSeconds = 30

const timed = (command: () => void): number => {
  const began = performance.now()
  command()
  return performance.now() - began
}

/** Starts it that often, one after another; gives the last one, still running. */
const startOften = async (place: Place, scene: Scene): Promise<{ readonly millis: ReadonlyArray<number>; readonly last: Controller }> => {
  const millis: Array<number> = []
  for (;;) {
    const controller = await startController(place, scene)
    millis.push(controller.readyMillis)
    if (millis.length === starts) return { millis, last: controller }
    await controller[Symbol.asyncDispose]()
  }
}

const latencyFigures = (rate: number, ours: Latencies, relay: Latencies, note: string): ReadonlyArray<Figure> => [
  { what: `AgentTask to Job at ${rate}/s, p50`, unit: "ms", values: [ours.p50], floor: { what: "relay", values: [relay.p50] } },
  { what: `AgentTask to Job at ${rate}/s, p99`, unit: "ms", budget: 50, values: [ours.p99], floor: { what: "relay", values: [relay.p99] }, note: `${note} Longest: ${Math.max(...ours.all).toFixed(1)} ms, of the relay ${Math.max(...relay.all).toFixed(1)} ms.` }
]

const memoryFigures = (when: string, { peak, resident }: Memory): ReadonlyArray<Figure> => [
  { what: `controller resident, ${when}`, unit: "MiB", budget: 128, values: [resident] },
  { what: `controller resident at most, ${when}`, unit: "MiB", budget: 128, values: [peak] }
]

/** What the controller wrote while it only watched, its own leader Lease apart. */
const quiet = (when: string, writes: ReadonlyArray<Write>): Figure => {
  const [lead = [], other = []] = [writes.filter(({ namespace }) => namespace === installation.namespace), writes.filter(({ namespace }) => namespace !== installation.namespace)]
  return { what: `writes after a restart, ${when}`, unit: "writes", budget: 0, values: [other.length], note: `In ${quietSeconds} s: ${summary(other)}; for the lead ${summary(lead)}.` }
}

export const controllerFigures = async ({ directory, kubeconfig, processes, say }: ControlPlane): Promise<ReadonlyArray<Figure>> => {
  using api = openApi(kubeconfig)
  const [empty, life, slow, fast, relayed, over] = makeScenes(directory, kubeconfig, ["bench-empty", "bench-life", "bench-slow", "bench-fast", "bench-relay", "bench-finished"])
  if (!empty || !life || !slow || !fast || !relayed || !over) throw new Error("A scene is missing")
  const place = { directory, kubeconfig: controllerKubeconfig(directory, kubeconfig) }
  const auditLog = join(directory, "audit.log")
  const env = { ...process.env, ...imageEnvironment(directory) }
  const node = (...args: ReadonlyArray<string>) => timed(() => execFileSync(process.execPath, args, { env }))
  node(join(directory, "main.mjs"), "--help") // as the image does when it is built
  const figures: Array<Figure> = []

  say("start of the controller, without tasks")
  const bare = Array.from({ length: starts }, () => node("--eval", "0"))
  const first = await startOften(place, empty)
  figures.push({ what: "ready after start, without tasks", unit: "ms", budget: 500, values: first.millis, floor: { what: "node --eval 0", values: bare } })
  figures.push({ what: "controller resident, without tasks", unit: "MiB", values: [first.last.memory().resident] })
  await first.last[Symbol.asyncDispose]()

  say("writes of whole lives")
  {
    await using _ = await startController(place, life)
    const specs = (stage: string) => Array.from({ length: 50 }, (_, index) => [`${stage}-${index}`, { stage, workspace: `${stage}-${index}` }] as const)
    await liveThrough(api, life, new Map([...specs("plan"), ...specs("apply")]))
    await sleep(2000)
  }
  const lives = Map.groupBy(writesIn(auditLog).filter(({ namespace }) => namespace === life.namespace), ({ name, resource }) => /plan-\d/u.test(name) && resource !== "leases" ? "plan" : "apply")
  for (const [stage, writes] of lives) figures.push({ what: `writes of the controller for ${stage === "plan" ? "a plan" : "an apply"}`, unit: "writes", budget: 3, values: [writes.length / 50], note: `Of 50: ${summary(writes)}.` })

  await startRelay(api, relayed)
  const relayJobs = await watchJobs(api, relayed)
  const runs = { relay: (rate: number, seconds: number) => measureLatency(api, relayed, relayJobs, { rate, seconds, prefix: `at-${rate}-for-${seconds}` }) }
  const ours = async (scene: Scene, rate: number) => measureLatency(api, scene, await watchJobs(api, scene), { rate, seconds: tasks / 50, prefix: `at-${rate}` })
  say("latency at 20 a second")
  await runs.relay(20, 3) // to warm up, thrown away
  {
    await using _ = await startController(place, slow)
    const relay = await runs.relay(20, 20)
    const { other, value } = await otherLoad(processes, () => ours(slow, 20))
    figures.push(...latencyFigures(20, value, relay, other))
  }
  say("latency at 50 a second")
  {
    await using controller = await startController(place, fast)
    const { other, value } = await otherLoad(processes, () => ours(fast, 50))
    const relay = await runs.relay(50, 20)
    figures.push(...latencyFigures(50, value, relay, other))
    figures.push(...memoryFigures(`${tasks} tasks with Jobs and Pods`, controller.memory()))
  }

  for (const [scene, what] of [[fast, `${tasks} tasks with Jobs and Pods`], [over, `${tasks} finished tasks`]] as const) {
    if (scene === over) {
      say(`${tasks} finished tasks`)
      await makeFinished(api, over, tasks)
    }
    say(`start of the controller, ${what}`)
    const from = Date.now()
    const { last, millis } = await startOften(place, scene)
    figures.push({ what: `ready after start, ${what}`, unit: "ms", budget: 500, values: millis, floor: { what: "without tasks", values: first.millis } })
    say(`${quietSeconds} s of quiet, ${what}`)
    await sleep(quietSeconds * 1000)
    const writes = writesIn(auditLog).filter(({ at }) => at >= from)
    figures.push(...memoryFigures(`after a restart with ${what}`, last.memory()), quiet(what, writes))
    await last[Symbol.asyncDispose]()
  }
  return figures
}
