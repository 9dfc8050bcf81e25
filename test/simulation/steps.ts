// The steps of a schedule. Each has a name, is possible at any time, and has no effect where there is nothing to do,
// so that every list of steps is a schedule, and one that fails can be made shorter by leaving out steps.
// Drawn by test/simulation/schedule, carried out by test/simulation/run.
import { RunEvent } from "../../src/core/run/run-machine.ts"
import { Gone, Unreachable } from "../../src/kubernetes/errors.ts"
import type { Fault } from "./one-thread.ts"
import type { ControllerName, Simulation } from "./simulation.ts"

export interface Step {
  readonly do: Verb
  /** `nth` chooses one of several objects; `by` is a second number, such as an amount. */
  readonly nth: number
  readonly by: number
  readonly fault: Fault
}

type Perform = (simulation: Simulation, step: Step) => void
interface Row {
  /** How often the step is drawn, relative to the others. */
  readonly weight: number
  /** Whether the step is trouble: a schedule may be free of it. */
  readonly trouble?: true
  /** Whether the step is drawn only where there is a pool, since it does nothing without one. */
  readonly ofPool?: true
  readonly perform: Perform
}

const call = { verb: "watch", object: "the model" } as const
const gone = new Gone({ ...call, code: 410, reason: "Expired", detail: "too old" })
const broken = new Unreachable({ ...call, detail: "connection reset" })
const names: ReadonlyArray<ControllerName> = ["a", "b"]
const who = ({ by }: Step): ControllerName => names[by % 4 === 3 ? 1 : 0] ?? "a"
const pick = <A>(all: ReadonlyArray<A>, nth: number): A | undefined => all[nth % all.length]
/** The `by` of a round in which no container starts, though everything else goes well. */
export const noContainers = 1
const times = [100, 1_000, 4_000, 11_000, 35_000, 95_000, 200_000, 3_700_000]

const ofWatch = (act: (watch: ReturnType<Simulation["watchesOf"]>[number], step: Step) => void): Perform => (simulation, step) => {
  const watch = pick(simulation.watchesOf(who(step)), step.nth)
  if (watch !== undefined) act(watch, step)
}
const ofPod =
  (act: (simulation: Simulation, pod: Simulation["cluster"]["pods"][number], step: Step) => void): Perform => (simulation, step) => {
    const pod = pick(simulation.cluster.pods, step.nth)
    if (pod !== undefined) act(simulation, pod, step)
  }
const ofJob =
  (act: (simulation: Simulation, job: Simulation["cluster"]["jobs"][number], step: Step) => void): Perform => (simulation, step) => {
    const job = pick(simulation.cluster.jobs.filter(({ spec }) => spec.template !== undefined), step.nth)
    if (job !== undefined) act(simulation, job, step)
  }
const node = ({ by }: Step): string => `node-${by % 2}`

const table = {
  // people
  "create a task": { weight: 6, perform: (_, { nth }) => _.create(nth) },
  "cancel a task": { weight: 2, trouble: true, perform: (_, { nth }) => _.cancel(nth) },
  "delete a task": { weight: 1, trouble: true, perform: (_, { nth }) => _.deleteTask(nth) },
  "delete a task that a finalizer keeps": {
    weight: 1,
    trouble: true,
    perform: (_, { nth }) => {
      _.keepTask(nth)
      _.deleteTask(nth)
    }
  },
  "delete a Job": { weight: 1, trouble: true, perform: ofJob((_, job) => _.deleteJob(job.metadata)) },
  "delete a Job that a finalizer keeps": {
    weight: 1,
    trouble: true,
    perform: ofJob((_, job, { by }) => {
      _.cluster.keepJob(job)
      _.deleteJob(job.metadata)
      if (by % 2 === 0) _.cluster.deletePodsOf(job) // as in a deletion in the foreground
    })
  },
  "a Job's finalizer is removed": { weight: 1, perform: ofJob((_, job) => _.cluster.letJobGo(job)) },
  "delete a Pod": { weight: 1, trouble: true, perform: ofPod((_, pod) => _.cluster.deletePod(pod)) },
  "start a run": { weight: 3, perform: (_, { by, nth }) => _.startRun(nth, by) },
  "cancel a run": { weight: 1, trouble: true, perform: (_, { nth }) => _.pool?.decide(nth, RunEvent.Cancel()) },
  "end a run by force": { weight: 0.5, trouble: true, perform: (_, { nth }) => _.pool?.forceCancel(nth) },
  "confirm a run": { weight: 1, perform: (_, { nth }) => _.pool?.decide(nth, RunEvent.Confirm({})) },
  "discard a run": { weight: 1, trouble: true, perform: (_, { nth }) => _.pool?.decide(nth, RunEvent.Discard()) },
  "a rescue is settled": {
    weight: 1,
    perform: (_) => {
      _.pool?.settleAll()
      _.settleDoubts()
    }
  },
  "a rescue is imported": { weight: 1, ofPool: true, perform: (_, { nth }) => _.importMissing(nth) },
  "a state is locked by force": { weight: 0.5, trouble: true, perform: (_, { nth }) => _.lockByForce(nth) },
  "a state is written by hand": { weight: 0.5, trouble: true, perform: (_, { nth }) => _.writeByHand(nth) },
  "a source has something new": { weight: 2, perform: (_) => _.source.publish() },
  "a source is not ready": { weight: 0.5, trouble: true, perform: (_) => _.source.fail() },
  "a stranger's Job": { weight: 0.3, trouble: true, perform: (_, { by, nth }) => by % 2 === 0 ? _.strangersJob(nth) : _.copyJob(nth) },
  "garbage in the store": { weight: 0.1, trouble: true, perform: (_) => _.garbage() },
  "a quota is full": {
    weight: 0.5,
    trouble: true,
    perform: (_, { by }) => {
      _.server.refuses = by % 2 === 0 ? "quota" : "quota of Secrets"
    }
  },
  "a quota on Pods is full": {
    weight: 0.5,
    trouble: true,
    perform: (_) => {
      _.cluster.hasRoomForPods = false
    }
  },
  "there is room for Pods": {
    weight: 1,
    perform: (_) => {
      _.cluster.hasRoomForPods = true
    }
  },
  "a policy refuses": {
    weight: 0.2,
    trouble: true,
    perform: (_) => {
      _.server.refuses = "policy"
    }
  },
  "Jobs are taken": {
    weight: 1,
    perform: (_) => {
      _.server.refuses = "nothing"
    }
  },
  // controllers
  "answer a controller": { weight: 40, perform: (_, step) => _.answerController(who(step), step.nth, step.fault) },
  "events reach a controller": { weight: 25, perform: ofWatch((watch, { by }) => watch.deliver(1 + by)) },
  "events come again": { weight: 1, trouble: true, perform: ofWatch((watch, { by }) => watch.repeat(1 + by)) },
  "a bookmark": { weight: 1, perform: ofWatch((watch) => watch.bookmark()) },
  "a watch ends": { weight: 1, trouble: true, perform: ofWatch((watch) => watch.end()) },
  "a watch breaks": { weight: 1, trouble: true, perform: ofWatch((watch) => watch.end(broken)) },
  "a watch is too old": { weight: 1, trouble: true, perform: ofWatch((watch) => watch.end(gone)) },
  "history is compacted": { weight: 0.5, trouble: true, perform: (_) => _.server.compact() },
  "a controller crashes": { weight: 2, trouble: true, perform: (_, step) => _.crash(who(step)) },
  "a controller loses its lead": { weight: 0.5, trouble: true, perform: (_, step) => _.loseLead(who(step)) },
  "a controller starts": { weight: 4, perform: (_, step) => _.start("a", step.fault === "none" ? 0 : (step.nth - 4) * 150_000) },
  "another controller starts": { weight: 1, trouble: true, perform: (_) => _.start("b") },
  "the values change": { weight: 1.5, trouble: true, perform: (_, { nth }) => _.changeValues(nth) },
  "a controller is started again with other values": {
    weight: 0.3,
    trouble: true,
    perform: (_, step) => {
      _.crash(who(step))
      _.changeValues(step.nth)
      _.start(who(step))
    }
  },
  "the cluster is drained": { weight: 0.5, trouble: true, perform: (_) => _.drain() },
  "the drain ends": { weight: 1, perform: (_) => _.endDrain() },
  // the cluster
  "the Job controller looks": { weight: 10, perform: ofJob((_, job) => _.cluster.lookAtJob(job)) },
  "a Pod too many": { weight: 1, trouble: true, perform: ofJob((_, job) => _.cluster.lookAtJob(job, true)) },
  "a Job expires": { weight: 2, perform: ofJob((_, job) => _.cluster.expireJob(job)) },
  "a Pod gets a node": { weight: 8, perform: ofPod((_, pod, step) => _.cluster.schedule(pod, node(step))) },
  "no node for a Pod": { weight: 0.5, trouble: true, perform: ofPod((_, pod) => _.cluster.cannotSchedule(pod)) },
  "a container starts": { weight: 8, perform: ofPod((_, pod) => _.cluster.startContainer(pod)) },
  "a container starts again": { weight: 1, trouble: true, perform: ofPod((_, pod) => _.cluster.startContainer(pod, true)) },
  "no image for a Pod": {
    weight: 0.5,
    trouble: true,
    perform: ofPod((_, pod, { by }) => _.cluster.cannotStart(pod, by % 2 === 0 ? "ImagePullBackOff" : "InvalidImageName"))
  },
  "a kubelet reports": { weight: 10, perform: ofPod((_, pod) => _.cluster.report(pod.metadata)) },
  "a worker is killed": { weight: 1, trouble: true, perform: ofPod((_, pod) => _.cluster.killWorker(pod)) },
  "a runner is stopped": { weight: 2, perform: ofPod((_, pod) => _.cluster.stopRunner(pod)) },
  "a Pod is told to end": { weight: 3, perform: ofPod((_, pod) => _.cluster.terminate(pod, false)) },
  "a Pod's grace is over": { weight: 1, perform: ofPod((_, pod) => _.cluster.terminate(pod, true)) },
  "a Pod is evicted": {
    weight: 0.5,
    trouble: true,
    perform: ofPod((_, pod, { by }) => by % 2 === 0 ? _.cluster.evict(pod) : _.cluster.refuse(pod))
  },
  "a node is cut off": { weight: 1, trouble: true, perform: (_, step) => _.cluster.setNode(node(step), "cut off") },
  "a node is heard again": { weight: 2, perform: (_, step) => _.cluster.setNode(node(step), "healed") },
  "a node is lost": { weight: 0.3, trouble: true, perform: (_, step) => _.cluster.setNode(node(step), "lost") },
  "a lost node is removed": { weight: 0.5, perform: (_, step) => _.cluster.setNode(node(step), "removed") },
  "garbage is collected": { weight: 4, perform: (_) => _.cluster.collect() },
  // workers
  "answer a worker": { weight: 20, perform: (_, step) => _.answerWorker(step.nth, step.fault) },
  "events reach a worker": { weight: 3, perform: (_, { nth }) => pick(_.watchesOfWorkers, nth)?.deliver(Infinity) },
  "an engine goes on": {
    weight: 2,
    ofPool: true,
    perform: (_, { nth }) => pick(_.truth.engines.filter(({ running }) => running), nth)?.goOn()
  },
  "a provider dies": {
    weight: 0.5,
    trouble: true,
    ofPool: true,
    perform: (_, { nth }) => pick(_.truth.engines.filter(({ running }) => running), nth)?.loseProvider()
  },
  "an engine is killed": { weight: 0.5, trouble: true, ofPool: true, perform: (_, { nth }) => _.killEngine(nth) },
  "an engine ends": {
    weight: 4,
    perform: (_, { by, nth }) => pick(_.truth.engines.filter(({ running }) => running), nth)?.end(by % 4 === 3 ? 1 : 0)
  },
  // the pool's server
  "the server crashes": { weight: 1, trouble: true, perform: (_) => _.pool?.crash() },
  "the server starts": { weight: 3, perform: (_) => _.pool?.start() },
  // time
  "time goes by": { weight: 8, perform: (_, { by }) => _.thread.pass(times[by] ?? 1_000) },
  "all goes well for a while": {
    weight: 6,
    perform: (_, { by, fault }) => { // a fault meets every request
      _.round({ containersStart: by !== noContainers, enginesEnd: false, fault })
    }
  }
} satisfies Readonly<Record<string, Row>>

export type Verb = keyof typeof table
/** All steps, with how often each is drawn. */
export const rows = (Object.entries(table) as ReadonlyArray<readonly [Verb, Row]>).map(([verb, row]) => ({ verb, ...row }))

export const perform = (simulation: Simulation, step: Step): void => {
  const row: Row = table[step.do]
  row.perform(simulation, step)
  simulation.thread.settle()
}
