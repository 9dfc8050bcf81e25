// A whole installation in one thread: API server, cluster, up to two controllers, workers, and a record of what really happened.
// Invariant: nothing moves except when one of these methods is called, and each of them may be called at any time.
// Driven by test/simulation/steps, judged by test/simulation/invariants.
import { Option } from "effect"
import { taskLabels } from "../../src/core/manifest/labels.ts"
import type { ResolvedConfig } from "../../src/core/resolve/resolve.ts"
import { drainAskedAt, isAnswered, withDrainAsked, withoutDrainAsked } from "../../src/core/scheduling/draining.ts"
import { isOver } from "../../src/core/task/status.ts"
import type { TaskPolicy } from "../../src/core/task/task-policy.ts"
import { agentTasks, jobs } from "../../src/kubernetes/kinds.ts"
import type { NamespacedName } from "../../src/kubernetes/object.ts"
import type { AgentTask } from "../../src/schema/task/agent-task.ts"
import type { OnChange } from "../../src/schema/task/source.ts"
import { configOf } from "../core/configs.ts"
import { ApiServer } from "./api-server.ts"
import { Cluster } from "./cluster.ts"
import { type Annotations, type ControllerProcess, startController } from "./controller-process.ts"
import { killed } from "./engine.ts"
import { type Fault, OneThread, type Process, type Wait } from "./one-thread.ts"
import { type Disturb, PoolServer } from "./pool-server.ts"
import { Source } from "./source.ts"
import { type Container, startWorker, type Truth } from "./worker-process.ts"

export type ControllerName = "a" | "b"

const configWith = (task: object): ResolvedConfig =>
  configOf({
    agent: { url: "http://pool", tokenExistingSecret: { name: "pool" } },
    task: { terminationGracePeriodSeconds: 60, ...task }
  })

/**
 * One configuration for each number of launches. Limits are small, so that tasks get in each other's way, and a startup timeout is shorter
 * than some waits for a quota.
 */
const configs: ReadonlyArray<ResolvedConfig> = [0, 1, 2].map((backoffLimit) =>
  configWith({
    historyPerWorkspace: 1,
    limits: { total: 3, perWorkspace: 2 },
    startupTimeoutSeconds: 120 - 40 * backoffLimit,
    job: { backoffLimit }
  })
)
/** Those that the values may change to; no schedule begins with one of the first two. */
const laterConfigs: ReadonlyArray<ResolvedConfig> = [
  configWith({ historyPerWorkspace: 0, limits: { total: 1, perWorkspace: 1 }, startupTimeoutSeconds: 40, job: { backoffLimit: 0 } }),
  configWith({ historyPerWorkspace: 3, limits: { total: 4, perWorkspace: 3 }, startupTimeoutSeconds: 240, job: { backoffLimit: 1 } }),
  ...configs
]

/** The UID of the task that nobody understands. */
export const garbageUid = "garbage"

interface Template extends Pick<AgentTask["spec"], "stage"> {
  readonly workspace: string
  /** What a new artifact starts, if the task takes its configuration from the source. */
  readonly onChange?: OnChange
}

export const templates = [
  { workspace: "one", stage: "apply" },
  { workspace: "one", stage: "destroy" },
  { workspace: "one", stage: "plan" },
  { workspace: "two", stage: "apply" },
  { workspace: "two", stage: "plan" },
  { workspace: "one", stage: "plan", onChange: "planAndApply" },
  { workspace: "two", stage: "plan", onChange: "plan" },
  { workspace: "two", stage: "apply", onChange: "none" }
] as const satisfies ReadonlyArray<Template>

/** For how long a person leaves a Job whose task is not over and that a finalizer keeps. */
const longestKeptMillis = 2 * 3_600_000
/** Returns the workspace of the run of this number. */
const workspaceAt = (nth: number): string => nth % 2 === 0 ? "one" : "two"

interface Round {
  readonly enginesEnd: boolean
  readonly containersStart?: boolean
  /** What happens to each request that is answered in it, if `disturb` is not to decide. */
  readonly fault?: Fault
}

export class Simulation {
  readonly thread = new OneThread()
  readonly server = new ApiServer(() => this.thread.now)
  /** The Jobs of each task that had a Pod, by the task's UID; for the invariants. */
  readonly launched = new Map<string, Set<string>>()
  /** How many Jobs were made for each task. */
  readonly made = new Map<string, number>()
  /** How many Jobs were made for each task since it was gone. */
  readonly madeForGone = new Map<string, number>()
  /** The UID of the task that last began to change each workspace. */
  readonly changes = new Map<string, string>()
  /** The tasks that a person has looked at and deleted, so that others could go on. */
  readonly lookedAt: Array<AgentTask> = []
  /** How many leads began. */
  leads = 0
  /** The Jobs that a person deleted, perhaps before any controller wrote about them in the task's status. */
  readonly takenAway = new Set<string>()
  readonly truth: Truth = { engines: [], results: new Map(), hurried: new Set(), states: new Set() }
  readonly cluster: Cluster
  config: ResolvedConfig
  /** The policies that no longer hold, and until when each did. */
  readonly #formerPolicies: Array<{ readonly policy: TaskPolicy; readonly until: number }> = []
  readonly controllers = new Map<ControllerName, ControllerProcess>()
  readonly workers: Array<Container> = []
  /** Whether two controllers ever ran at the same time. */
  crowded = false
  /** The revision since which nothing may begin: all controllers have answered a drain. */
  drainedAt: number | undefined
  /** What people wrote on the Lease of the lead. */
  #asked: Annotations = {}
  /** Decides what happens to each request of a round, and to each commit of the server for one; by default all goes well. The crash points replace it. */
  disturb: Disturb = () => "none"
  /** The source of Flux that some tasks follow. */
  readonly source: Source
  /** The server that runs come from, in addition to the tasks that people create. */
  readonly pool: PoolServer | undefined
  #seed: number

  constructor(seed: number, { withPool = false }: { readonly withPool?: boolean } = {}) {
    this.#seed = seed
    this.pool = withPool ? new PoolServer(this.thread, seed, (process, what) => this.disturb(process, what)) : undefined
    this.config = configs[seed % configs.length] ?? configOf()
    this.source = new Source(this.server, this.config.taskNamespace)
    this.cluster = new Cluster({
      server: this.server,
      now: () => this.thread.now,
      engineOf: (podUid) => this.truth.engines.find((_) => _.podUid === podUid),
      start: (pod) => {
        const container = startWorker({
          thread: this.thread,
          server: this.server,
          truth: this.truth,
          seed: this.#seed++,
          pod,
          reaches: () => this.cluster.reaches(pod.uid, pod.node),
          pool: Option.fromUndefinedOr(this.pool)
        })
        this.workers.push(container)
        return container
      }
    })
  }

  get tasks(): ReadonlyArray<AgentTask> {
    return this.server.all(agentTasks).filter(({ metadata }) => metadata.uid !== garbageUid) as ReadonlyArray<unknown> as ReadonlyArray<
      AgentTask
    >
  }

  // ── controllers ──

  start(name: ControllerName, skew = 0): void {
    if (this.controllers.get(name)?.process.alive === true) return
    if ([...this.controllers.values()].some(({ process }) => process.alive)) this.crowded = true
    this.leads++
    const controller = startController({
      thread: this.thread,
      server: this.server,
      config: this.config,
      name,
      seed: this.#seed++,
      skew,
      pool: Option.map(Option.fromUndefinedOr(this.pool), (pool) => (process: Process) => pool.forAgent(process))
    })
    controller.renew(this.#asked) // before it leads
    this.controllers.set(name, controller)
  }
  crash(name: ControllerName): void {
    this.controllers.get(name)?.process.kill()
  }
  loseLead(name: ControllerName, forMillis = 0): void {
    const controller = this.controllers.get(name)
    if (controller?.process.alive !== true) return
    this.leads++
    controller.loseLead(forMillis)
  }
  get isDrained(): boolean {
    return Option.isSome(drainAskedAt(this.#asked))
  }
  /** Renews the lead, and notes when the last of the controllers that run has answered a drain. */
  renew(): void {
    const answers = [...this.controllers.values()].filter(({ process }) => process.alive).map(({ renew }) => renew(this.#asked))
    if (this.isDrained && answers.every(isAnswered)) this.drainedAt ??= this.server.revision
  }
  /** Gives the controllers that run, and those that start later, other values. */
  changeValues(nth: number): void {
    this.#formerPolicies.push({ policy: this.config.policy, until: this.thread.now })
    this.config = laterConfigs[nth % laterConfigs.length] ?? this.config
    for (const { process, takeOver } of this.controllers.values()) if (process.alive) takeOver(this.config)
  }
  /** All policies that ever held since this task was made; it may have begun by each of them. */
  policiesSince({ metadata: { creationTimestamp } }: Pick<AgentTask, "metadata">): ReadonlyArray<TaskPolicy> {
    const former = this.#formerPolicies.filter(({ until }) => until >= Date.parse(creationTimestamp))
    return [...former.map(({ policy }) => policy), this.config.policy]
  }
  answer(waits: ReadonlyArray<Wait>, nth: number, fault: Fault): void {
    waits[nth % waits.length]?.answer(fault)
  }
  answerController(name: ControllerName, nth: number, fault: Fault): void {
    this.answer(this.controllers.get(name)?.process.waits ?? [], nth, fault)
  }
  answerWorker(nth: number, fault: Fault): void {
    this.answer(this.workers.flatMap(({ process }) => process.waits), nth, fault)
  }
  watchesOf(name: ControllerName) {
    const controller = this.controllers.get(name)
    return controller?.process.alive === true ? [...controller.watches] : []
  }

  /** The watches of workers whose node is reachable. */
  get watchesOfWorkers() {
    return this.workers.filter(({ process, reaches }) => process.alive && reaches() !== "cut off").flatMap(({ watches }) => [...watches])
  }

  // ── people ──

  create(template: number): void {
    const chosen: Template = templates[template % templates.length] ?? templates[0]
    const { onChange, stage, workspace } = chosen
    this.server.create(agentTasks, {
      metadata: { name: `task-${template}`, namespace: this.config.taskNamespace },
      spec: { workspace, stage, ...onChange === undefined ? { source: { inline: { "main.tf": "" } } } : this.source.followed(onChange) }
    })
  }
  cancel(nth: number): void {
    const task = this.tasks[nth % this.tasks.length]
    if (task !== undefined) {
      this.server.apply(agentTasks, {
        metadata: { name: task.metadata.name, namespace: task.metadata.namespace, uid: task.metadata.uid },
        spec: { cancel: true }
      })
    }
  }
  drain(): void {
    this.#asked = withDrainAsked(this.#asked, this.server.time)
    this.renew()
  }
  endDrain(): void {
    this.#asked = withoutDrainAsked(this.#asked)
    this.drainedAt = undefined
    this.renew()
  }
  deleteJob(job: NamespacedName & { readonly uid: string }): void {
    this.takenAway.add(job.uid)
    this.server.remove(jobs, job)
  }
  deleteTask(nth: number): void {
    const task = this.tasks[nth % this.tasks.length]
    if (task !== undefined) this.server.remove(agentTasks, task.metadata)
  }
  /** Deletes, as a person who has looked, the tasks that others wait for because these left the state in doubt. */
  settleDoubts(): void {
    const doubted = new Set(
      this.tasks.flatMap(({ status: { phase, queue } }) =>
        !isOver(phase) && queue?.reason === "StateRescuePending" ? [queue.blockedBy] : []
      )
    )
    for (const task of this.tasks.filter(({ metadata }) => doubted.has(metadata.name))) {
      this.lookedAt.push(task)
      this.server.remove(agentTasks, task.metadata)
    }
  }
  /** Adds a finalizer of a person's own, which keeps a deleted task. An attempt that is kept would hold its name for ever. */
  keepTask(nth: number): void {
    const task = this.tasks[nth % this.tasks.length]
    if (task?.metadata.ownerReferences !== undefined) return
    const found = task === undefined ? undefined : this.server.find(agentTasks, task.metadata)
    if (found === undefined || found.metadata.deletionTimestamp !== undefined) return
    const { finalizers = [], labels = {}, name, namespace } = found.metadata
    this.server.update(agentTasks, { ...found, metadata: { name, namespace, labels, finalizers: [...finalizers, "example.com/keep"] } })
  }
  /**
   * Removes the finalizers of Jobs whose task is over or gone: until then, the task has to come to its end with its Job kept. The deadline of
   * an apply, which ends one whose Pod another container keeps, is days away; its Job is let go after two hours.
   */
  letJobsGo(): void {
    const open = new Set<string>(this.tasks.filter(({ status }) => !isOver(status.phase)).map(({ metadata }) => metadata.uid))
    for (const job of this.cluster.jobs) {
      const { deletionTimestamp = this.server.time, ownerReferences } = job.metadata
      const isLong = Date.parse(this.server.time) - Date.parse(deletionTimestamp) > longestKeptMillis
      if (isLong || !open.has(ownerReferences?.[0]?.uid ?? "")) this.cluster.letJobGo(job)
    }
  }
  /** Kills an engine whose worker goes on, as for want of memory. Those without a pool are left: their own backend knows what they made. */
  killEngine(nth: number): void {
    const running = this.truth.engines.filter(({ running, writesState }) => running && writesState)
    running[nth % running.length]?.end(killed)
  }
  lockByForce(nth: number): void {
    this.pool?.lockByForce(workspaceAt(nth))
  }
  writeByHand(nth: number): void {
    this.pool?.writeByHand(workspaceAt(nth))
  }
  importMissing(nth: number): void {
    this.pool?.importMissing(workspaceAt(nth))
  }
  startRun(nth: number, by: number): void {
    this.pool?.startRun(workspaceAt(nth), { autoApply: by !== 5, destroy: by === 7, planOnly: by < 2 })
  }
  /** Creates a copy of a task's Job under another name and without its owner, as people do to debug a task. */
  copyJob(nth: number): void {
    const task = this.tasks[nth % this.tasks.length]
    if (task === undefined) return
    const { name, namespace } = task.metadata
    this.server.create(jobs, { metadata: { name: `copy-of-${name}`, namespace, labels: taskLabels(task, this.config, {}) }, spec: {} })
  }
  strangersJob(template: number): void {
    this.server.create(jobs, { metadata: { name: `agent-job-task-${template}`, namespace: this.config.taskNamespace }, spec: {} })
  }
  garbage(): void {
    this.server.plant(agentTasks, {
      metadata: { name: "garbage", namespace: this.config.taskNamespace, uid: garbageUid, resourceVersion: "" },
      spec: { workspace: 7 }
    })
  }

  // ── what goes by itself when nothing fails ──

  /** Lets everything in the installation act once; returns whether anything happened. */
  round({ containersStart = true, enginesEnd, fault }: Round): boolean {
    const { revision } = this.server
    let answered = 0
    this.thread.pass(100)
    for (const watch of [...[...this.controllers.keys()].flatMap((name) => this.watchesOf(name)), ...this.watchesOfWorkers]) {
      watch.deliver(Infinity)
      this.thread.settle()
    }
    for (const { process } of [...this.controllers.values(), ...this.workers]) {
      for (const wait of process.waits.slice()) {
        if (!process.waits.includes(wait)) continue
        if (!wait.poll) answered++
        wait.answer(fault ?? this.disturb(process, wait.what))
      }
    }
    const { cluster } = this
    for (const job of cluster.jobs) if (job.spec.template !== undefined) cluster.lookAtJob(job)
    for (const pod of cluster.pods) cluster.schedule(pod, "node-0")
    for (const pod of cluster.pods) {
      cluster.terminate(pod, false)
      if (containersStart) cluster.startContainer(pod)
      if (pod.status?.containerStatuses?.some(({ state }) => state?.terminated !== undefined) === true) cluster.stopRunner(pod)
    }
    for (const engine of this.truth.engines) {
      if (enginesEnd) engine.end(0)
      else engine.goOn()
    }
    this.thread.settle()
    for (const pod of cluster.pods) cluster.report(pod.metadata)
    for (const job of cluster.jobs) cluster.expireJob(job)
    cluster.collect()
    return answered > 0 || revision !== this.server.revision
  }

  /** Ends all faults: nothing is drained, quotas have room, the source is ready, and the nodes and the pool answer. */
  heal(): void {
    this.endDrain()
    this.server.refuses = "nothing"
    this.cluster.hasRoomForPods = true
    this.source.heal()
    this.pool?.start()
    for (const name of this.cluster.nodes.keys()) {
      this.cluster.setNode(name, "removed")
      this.cluster.setNode(name, "healed")
    }
  }
  /** Starts a controller if none runs, as the Deployment does. */
  keepControlled(): void {
    if (![...this.controllers.values()].some(({ process }) => process.alive)) this.start("a")
  }

  get isOver(): boolean {
    return (this.pool?.isOver ?? true) && this.tasks.every(({ status }) => isOver(status.phase))
  }
  /** Whether everything is over, and no Job or Pod of it is left. */
  get atRest(): boolean {
    return this.isOver && this.cluster.pods.length === 0 && this.cluster.jobs.every(({ spec }) => spec.template === undefined)
  }
}
