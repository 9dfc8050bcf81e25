// The figures of the controller: memory, start, writes, and how long a Job takes to appear.
// Used by main.ts.
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { type Api, openApi } from "./api.ts"
import { summary, type Write, writesIn } from "./audit.ts"
import { startControlPlane } from "./control-plane.ts"
import { type Controller, imageEnvironment, type Memory, type Place, startController } from "./controller-process.ts"
import type { Figure } from "./figure.ts"
import { liveThrough, makeFinished, makeStarting } from "./life.ts"
import { otherLoad } from "./other-load.ts"
import { controllerKubeconfig, installation, makeScenes, type Scene } from "./scene.ts"
import { type Latencies, measureLatency, startRelay, watchJobs } from "./task-to-job.ts"

export interface Surroundings {
  /** The folder with the files of this run, and with the bundled program, main.cjs. */
  readonly directory: string
  /** The folder for the files of a control plane. */
  readonly state: string
  /** Prints what is being measured. */
  readonly say: (what: string) => void
}

const tasks = 1000
const starts = 7
const quietSeconds = 30
const lives = 50

/** Runs Node to its end in the environment of the image; returns how long that took, in milliseconds. */
const node = (directory: string, ...args: ReadonlyArray<string>): number => {
  const began = performance.now()
  execFileSync(process.execPath, args, { env: { ...process.env, ...imageEnvironment(directory) } })
  return performance.now() - began
}

/** Runs the program once, as the build of the image does, so that its compile cache is filled. */
const compileOnce = (directory: string) => node(directory, join(directory, "main.cjs"), "--help")

const latency = (rate: number, ours: Latencies, relay: Latencies, other: string): ReadonlyArray<Figure> => [
  { what: `AgentTask to Job at ${rate}/s, p50`, unit: "ms", values: [ours.p50], floor: { what: "relay", values: [relay.p50] } },
  {
    what: `AgentTask to Job at ${rate}/s, p99`,
    unit: "ms",
    budget: 50,
    values: [ours.p99],
    floor: { what: "relay", values: [relay.p99] },
    note: `Longest ${ours.longest.toFixed(0)} ms, of the relay ${relay.longest.toFixed(0)} ms. ${other}`
  }
]

/** Measures latency without the Job controller, whose Pods would take more of a small machine than everything else together. */
export const latencyFigures = async ({ directory, say, state }: Surroundings): Promise<ReadonlyArray<Figure>> => {
  using plane = startControlPlane({ directory, state, jobController: false, audit: false })
  using api = openApi(plane.kubeconfig)
  const [relayed, ours] = makeScenes(directory, plane.kubeconfig, ["bench-relay", "bench-tasks"])
  if (!relayed || !ours) throw new Error("A scene is missing")
  compileOnce(directory)
  await using _ = await startController({ directory, kubeconfig: controllerKubeconfig(directory, plane.kubeconfig) }, ours)
  await startRelay(api, relayed)
  const seen = new Map([[ours, await watchJobs(api, ours)], [relayed, await watchJobs(api, relayed)]])
  const run = (scene: Scene, rate: number, seconds: number) =>
    measureLatency(api, scene, seen.get(scene) ?? new Map(), { rate, seconds, prefix: `at-${rate}-for-${seconds}` })
  const figures: Array<Figure> = []
  for (const scene of [relayed, ours]) await run(scene, 20, 3) // a warm-up, whose figures are thrown away
  for (const rate of [20, 50]) {
    say(`latency at ${rate} a second`)
    const relay = await run(relayed, rate, 20)
    const { other, value } = await otherLoad(plane.processes, () => run(ours, rate, 20))
    figures.push(...latency(rate, value, relay, other))
  }
  return figures
}

/** Starts the controller `starts` times, one after another; returns the figures, and the last controller, which still runs. */
const startOften = async (
  place: Place,
  scene: Scene
): Promise<{ readonly figure: Pick<Figure, "values" | "note">; readonly last: Controller }> => {
  const values: Array<number> = []
  const cpu: Array<number> = []
  for (;;) {
    const controller = await startController(place, scene)
    values.push(controller.readyMillis)
    cpu.push(controller.readyCpuMillis)
    if (values.length === starts) {
      return { figure: { values, note: `CPU time until then: ${Math.min(...cpu)} to ${Math.max(...cpu)} ms.` }, last: controller }
    }
    await controller[Symbol.asyncDispose]()
  }
}

const memory = (when: string, { peak, resident }: Memory): ReadonlyArray<Figure> => [
  { what: `controller resident, ${when}`, unit: "MiB", budget: 128, values: [resident] },
  { what: `controller resident at most, ${when}`, unit: "MiB", budget: 128, values: [peak] }
]

/** Returns the figure of what the controller wrote while there was nothing to do; its leader Lease is only in the note. */
const quiet = (when: string, writes: ReadonlyArray<Write>): Figure => {
  const { lead = [], other = [] } = Object.groupBy(writes, ({ namespace }) => namespace === installation.namespace ? "lead" : "other")
  return {
    what: `writes after a restart, ${when}`,
    unit: "writes",
    budget: 0,
    values: [other.length],
    note: `In ${quietSeconds} s: ${summary(other)}; for its lead: ${summary(lead)}.`
  }
}

const writesOfLives = async (api: Api, place: Place, scene: Scene, auditLog: string): Promise<ReadonlyArray<Figure>> => {
  const specs = ["plan", "apply"].flatMap((stage) =>
    Array.from({ length: lives }, (_, index) => [`${stage}-${index}`, { stage, workspace: `${stage}-${index}` }] as const)
  )
  await using _ = await startController(place, scene)
  await liveThrough(api, scene, new Map(specs))
  await sleep(2000) // the controller may still have something to write
  const writes = writesIn(auditLog).filter(({ namespace }) => namespace === scene.namespace)
  const { apply = [], plan = [] } = Object.groupBy(
    writes,
    ({ name, resource }) => /plan-\d/u.test(name) && resource !== "leases" ? "plan" : "apply"
  )
  return [{ what: "a plan", all: plan }, { what: "an apply", all: apply }].map(({ all, what }) => ({
    what: `writes of the controller for ${what}`,
    unit: "writes",
    budget: 3,
    values: [all.length / lives],
    note: `Of ${lives}: ${summary(all)}.`
  }))
}

/** Measures start, memory and writes of a controller that finds the tasks of the scene when it starts. */
const restarted = async (
  place: Place,
  scene: Scene,
  what: string,
  auditLog: string,
  fresh: ReadonlyArray<number>
): Promise<ReadonlyArray<Figure>> => {
  const from = Date.now()
  const { figure, last } = await startOften(place, scene)
  await using controller = last
  await sleep(quietSeconds * 1000)
  const floor = { what: "without tasks", values: fresh }
  return [
    { what: `ready after start, ${what}`, unit: "ms", budget: 500, ...figure, floor },
    ...memory(`${what}, restarted`, controller.memory()),
    quiet(what, writesIn(auditLog).filter(({ at }) => at >= from))
  ]
}

export const controllerFigures = async ({ directory, say, state }: Surroundings): Promise<ReadonlyArray<Figure>> => {
  using plane = startControlPlane({ directory, state, jobController: true, audit: true })
  using api = openApi(plane.kubeconfig)
  const [empty, life, starting, over] = makeScenes(directory, plane.kubeconfig, [
    "bench-empty",
    "bench-life",
    "bench-starting",
    "bench-finished"
  ])
  if (!empty || !life || !starting || !over) throw new Error("A scene is missing")
  const place = { directory, kubeconfig: controllerKubeconfig(directory, plane.kubeconfig) }
  compileOnce(directory)
  const figures: Array<Figure> = []

  say("start of the controller, without tasks")
  const bare = Array.from({ length: starts }, () => node(directory, "--eval", "0"))
  const { figure, last } = await startOften(place, empty)
  figures.push({
    what: "ready after start, without tasks",
    unit: "ms",
    budget: 500,
    ...figure,
    floor: { what: "node --eval 0", values: bare }
  })
  figures.push({ what: "controller resident, without tasks", unit: "MiB", values: [last.memory().resident] })
  await last[Symbol.asyncDispose]()

  say("writes for whole lives of tasks")
  figures.push(...await writesOfLives(api, place, life, plane.auditLog))

  say(`${tasks} finished tasks`)
  await makeFinished(api, over, tasks)
  figures.push(...await restarted(place, over, `${tasks} finished tasks`, plane.auditLog, figure.values))

  const withJobs = `${tasks} tasks with Jobs and Pods`
  say(withJobs)
  {
    await using controller = await startController(place, starting)
    await makeStarting(api, starting, tasks)
    figures.push(...memory(withJobs, controller.memory()))
  }
  figures.push(...await restarted(place, starting, withJobs, plane.auditLog, figure.values))
  return figures
}
