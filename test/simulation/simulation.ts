// One whole installation in one thread: API server, cluster, up to two controllers, workers, and what really happened.
// Always holds: nothing moves but by a call of one of these methods, and every one of them may be called at any time.
// Driven by test/simulation/steps, judged by test/simulation/invariants.
import { Option } from "effect"
import { taskLabels } from "../../src/core/manifest/labels.ts"
import type { ResolvedConfig } from "../../src/core/resolve.ts"
import { isOver } from "../../src/core/status.ts"
import { agentTasks, jobs } from "../../src/kubernetes/kinds.ts"
import type { Place } from "../../src/kubernetes/object.ts"
import type { AgentTask } from "../../src/schema/agent-task.ts"
import { configOf } from "../core/configs.ts"
import { ApiServer } from "./api-server.ts"
import { Cluster } from "./cluster.ts"
import { type ControllerProcess, startController } from "./controller-process.ts"
import { type Fault, OneThread, type Process, type Wait } from "./one-thread.ts"
import { PoolServer } from "./pool-server.ts"
import { type Container, startWorker, type Truth } from "./worker-process.ts"

export type ControllerName = "a" | "b"

/** Small limits, so that tasks meet; one configuration a number of launches. A start may take less than a wait for a quota does. */
const configs: ReadonlyArray<ResolvedConfig> = [0, 1, 2].map((backoffLimit) =>
  configOf({
    agent: { url: "http://pool", tokenExistingSecret: { name: "pool" } },
    task: {
      historyPerWorkspace: 1,
      limits: { total: 3, perWorkspace: 2 },
      startupTimeoutSeconds: 120 - 40 * backoffLimit,
      terminationGracePeriodSeconds: 60,
      job: { backoffLimit }
    }
  })
)

const templates = [
  { workspace: "one", stage: "apply" },
  { workspace: "one", stage: "destroy" },
  { workspace: "one", stage: "plan" },
  { workspace: "two", stage: "apply" },
  { workspace: "two", stage: "plan" }
] as const

/** Of runs. */
const workspaceAt = (nth: number): string => nth % 2 === 0 ? "one" : "two"

export class Simulation {
  readonly thread = new OneThread()
  readonly server = new ApiServer(() => this.thread.now)
  /** Of each task, the Jobs that had a Pod: for the invariants. */
  readonly launched = new Map<string, Set<string>>()
  /** Of each task, how many Jobs were made. */
  readonly made = new Map<string, number>()
  /** Of each task that is gone, how many Jobs were made since. */
  readonly madeForGone = new Map<string, number>()
  /** Controllers that were started. */
  leads = 0
  /** Jobs that a person deleted, perhaps before anybody said a word on them. */
  readonly takenAway = new Set<string>()
  readonly truth: Truth = { engines: [], results: new Map(), states: new Set() }
  readonly cluster: Cluster
  readonly config: ResolvedConfig
  readonly controllers = new Map<ControllerName, ControllerProcess>()
  readonly workers: Array<Container> = []
  /** More than one controller worked at some time. */
  crowded = false
  /** What is done to a request that all would go well with; crash points put themselves here. */
  disturb: (process: Process) => Fault = () => "none"
  /** Where runs come from, beside tasks that people make. */
  readonly pool: PoolServer | undefined
  #seed: number

  constructor(seed: number, { withPool = false }: { readonly withPool?: boolean } = {}) {
    this.#seed = seed
    this.pool = withPool ? new PoolServer(this.thread, seed) : undefined
    this.config = configs[seed % configs.length] ?? configOf()
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
    return this.server.all(agentTasks).filter(({ metadata }) => metadata.uid !== "garbage") as ReadonlyArray<unknown> as ReadonlyArray<
      AgentTask
    >
  }

  // ── controllers ──

  start(name: ControllerName, skew = 0): void {
    if (this.controllers.get(name)?.process.alive === true) return
    if ([...this.controllers.values()].some(({ process }) => process.alive)) this.crowded = true
    this.leads++
    this.controllers.set(
      name,
      startController({
        thread: this.thread,
        server: this.server,
        config: this.config,
        name,
        seed: this.#seed++,
        skew,
        pool: Option.map(Option.fromUndefinedOr(this.pool), (pool) => (process: Process) => pool.forAgent(process))
      })
    )
  }
  crash(name: ControllerName): void {
    this.controllers.get(name)?.process.kill()
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

  /** Of workers whose node is heard. */
  get watchesOfWorkers() {
    return this.workers.filter(({ process, reaches }) => process.alive && reaches() !== "cut off").flatMap(({ watches }) => [...watches])
  }

  // ── people ──

  create(template: number): void {
    const { stage, workspace } = templates[template % templates.length] ?? templates[0]
    this.server.create(agentTasks, {
      metadata: { name: `task-${template}`, namespace: this.config.taskNamespace },
      spec: { workspace, stage, source: { inline: { "main.tf": "" } } }
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
  deleteJob(job: Place & { readonly uid: string }): void {
    this.takenAway.add(job.uid)
    this.server.remove(jobs, job)
  }
  deleteTask(nth: number): void {
    const task = this.tasks[nth % this.tasks.length]
    if (task !== undefined) this.server.remove(agentTasks, task.metadata)
  }
  /** By a finalizer of their own, whatever becomes of it. */
  keepTask(nth: number): void {
    const task = this.tasks[nth % this.tasks.length]
    const found = task === undefined ? undefined : this.server.find(agentTasks, task.metadata)
    if (found === undefined || found.metadata.deletionTimestamp !== undefined) return
    const { finalizers = [], labels = {}, name, namespace } = found.metadata
    this.server.update(agentTasks, { ...found, metadata: { name, namespace, labels, finalizers: [...finalizers, "example.com/keep"] } })
  }
  lockByForce(nth: number): void {
    this.pool?.lockByForce(workspaceAt(nth))
  }
  writeByHand(nth: number): void {
    this.pool?.writeByHand(workspaceAt(nth))
  }
  startRun(nth: number, by: number): void {
    this.pool?.startRun(workspaceAt(nth), { destroy: by === 7, planOnly: by < 2 })
  }
  /** Under another name, with what made it the task's own left out, as people make one to look into it. */
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
      metadata: { name: "garbage", namespace: this.config.taskNamespace, uid: "garbage", resourceVersion: "" },
      spec: { workspace: 7 }
    })
  }

  // ── what goes by itself when nothing fails ──

  /** Everybody once; true if anything happened. */
  round({ containersStart = true, enginesEnd }: { readonly enginesEnd: boolean; readonly containersStart?: boolean }): boolean {
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
        wait.answer(this.disturb(process))
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
    if (enginesEnd) { for (const engine of this.truth.engines) engine.end(0) }
    this.thread.settle()
    for (const pod of cluster.pods) cluster.report(pod.metadata)
    for (const job of cluster.jobs) cluster.expireJob(job)
    cluster.collect()
    return answered > 0 || revision !== this.server.revision
  }

  /** Faults are over: nodes and the pool answer. */
  heal(): void {
    this.server.refuses = "nothing"
    this.cluster.hasRoomForPods = true
    this.pool?.start()
    for (const name of this.cluster.nodes.keys()) {
      this.cluster.setNode(name, "removed")
      this.cluster.setNode(name, "healed")
    }
  }
  /** Some controller runs from here on, as its Deployment sees to. */
  keepControlled(): void {
    if (![...this.controllers.values()].some(({ process }) => process.alive)) this.start("a")
  }

  get isOver(): boolean {
    return (this.pool?.isOver ?? true) && this.tasks.every(({ status }) => isOver(status.phase))
  }
  /** Everything is over, and nothing of it is left. */
  get atRest(): boolean {
    return this.isOver && this.cluster.pods.length === 0 && this.cluster.jobs.every(({ spec }) => spec.template === undefined)
  }
}
