// Thousands of seeded schedules of crashes, lost answers, lagging caches, doubled Pods and lost nodes: nothing runs twice, everything ends.
import { describe, expect, it } from "@effect/vitest"
import { leases } from "../../src/kubernetes/kinds.ts"
import { planOf } from "./approvals.ts"
import { stageIdOf } from "./effects.ts"
import { judge } from "./invariants.ts"
import { keepsAllInvariants } from "./part.ts"
import { comeToRest, runSteps } from "./run.ts"
import { schedule } from "./schedule.ts"
import { Simulation } from "./simulation.ts"
import { perform, type Step } from "./steps.ts"

const go = (verb: Step["do"], nth = 0, by = 0, fault: Step["fault"] = "none"): Step => ({ do: verb, nth, by, fault })
const goesWell = (rounds: number): ReadonlyArray<Step> => Array.from({ length: rounds }, () => go("all goes well for a while"))
/** Runs for this long and checks the invariants; returns the index in the history that `comeToRest` goes on from. */
const comeToWait = (simulation: Simulation, seconds: number): number => {
  for (let round = 0; round < seconds / 5; round++) {
    simulation.thread.pass(4_900)
    simulation.round({ enginesEnd: true })
  }
  return judge(simulation, 0)
}

/** A run of the pool begins, and its plan comes to a good end. */
const aPlanEnds = [go("a controller starts"), go("start a run", 0, 3), ...goesWell(7), go("an engine ends")]
/** A person imports what is missing in the first workspace, and confirms the plan of that, which then applies. */
const anImportApplies = [
  go("a rescue is imported"),
  ...goesWell(7),
  go("an engine ends"),
  ...goesWell(3),
  go("confirm a run", 1),
  ...goesWell(11)
]

describe("the simulation", () => {
  keepsAllInvariants(1)

  it("does the same for the same seed, down to every object that is written", () => {
    const historyOf = (seed: number) => {
      const simulation = new Simulation(seed)
      for (const step of schedule(seed)) perform(simulation, step)
      comeToRest(simulation, 0)
      return JSON.stringify(simulation.server.history, (key, value: unknown) => key === "nonce" ? "chosen by the machine" : value)
    }
    expect(historyOf(7)).toBe(historyOf(7))
    expect(historyOf(7)).not.toBe(historyOf(8))
  })
})

describe("what a schedule once found", () => {
  it("a worker gives its result to no later task of the same name", () =>
    expect(runSteps(2712, [
      go("a controller starts"),
      go("create a task"),
      ...goesWell(9),
      go("delete a task"),
      go("create a task")
    ])).toBeUndefined())

  it("a Job that was made and deleted before any cache saw it is not taken to be there", () =>
    expect(runSteps(352737, [
      go("a controller starts"),
      go("all goes well for a while"),
      go("create a task", 4),
      go("all goes well for a while"),
      go("time goes by", 0, 5),
      go("time goes by", 0, 5),
      go("a watch is too old", 7),
      go("answer a controller"),
      go("events reach a controller", 3, 2),
      go("events reach a controller"),
      go("answer a controller"),
      go("cancel a task")
    ])).toBeUndefined())

  it("a Job that a controller sees go before it says a word on it is in the count of its launches", () =>
    expect(runSteps(505410, [
      go("a controller starts"),
      go("create a task", 4),
      ...goesWell(2),
      go("a worker is killed"),
      go("a kubelet reports"),
      go("a controller crashes"),
      go("the Job controller looks"),
      go("time goes by", 0, 5)
    ])).toBeUndefined())

  it.each([
    { when: "the controller crashes before its status names it", next: [go("a controller crashes")] },
    {
      when: "the write that names it fails, and no cache has it",
      next: [go("answer a controller", 5, 5, "too many requests"), go("answer a controller", 6, 2)]
    }
  ])("an apply is under way for its task, though $when and the source has something new", ({ next }) =>
    expect(runSteps(3095, [
      go("a controller starts"),
      go("create a task", 5),
      ...goesWell(7),
      go("an engine ends"),
      ...goesWell(6),
      go("a source has something new"),
      ...next
    ])).toBeUndefined())
})

describe("what chance seldom comes to", () => {
  it("the Pods of a task that is gone still hold its workspace", () =>
    expect(runSteps(0, [
      go("a controller starts"),
      go("create a task"),
      ...goesWell(8),
      go("delete a task"),
      go("create a task", 1),
      ...goesWell(14)
    ])).toBeUndefined())

  it.each([
    { when: "before it starts", rounds: 0, phase: "Cancelled" },
    { when: "while its Pod starts", rounds: 1, phase: "Cancelled" },
    { when: "while it runs", rounds: 12, phase: "Succeeded" }
  ])(
    "a task that is deleted $when, and kept by somebody's finalizer, comes to its end and lets the next one start",
    ({ phase, rounds }) => {
      const simulation = new Simulation(0)
      simulation.start("a")
      for (let round = 0; round < 3; round++) simulation.round({ enginesEnd: false })
      simulation.create(0)
      simulation.keepTask(0)
      for (let round = 0; round < rounds; round++) simulation.round({ enginesEnd: false })
      simulation.deleteTask(0)
      simulation.create(1)
      comeToRest(simulation, 0)
      expect(simulation.tasks.map(({ status }) => status.phase)).toEqual([phase, "Succeeded"])
    }
  )

  it.each([{ when: "though its Pod was not ready yet", ready: false }, { when: "whose Pod was ready", ready: true }])(
    "an apply whose node is lost says so, $when, and ends once the node is removed",
    ({ ready }) => {
      const simulation = new Simulation(0)
      simulation.start("a")
      simulation.create(0)
      for (let round = 0; round < 12; round++) simulation.round({ enginesEnd: false })
      const told = () => simulation.tasks.map(({ status: { message, reason } }) => [reason, message?.split(" ")[0]])
      const [pod] = simulation.cluster.pods
      if (!ready && pod !== undefined) simulation.cluster.notReady(pod)
      simulation.cluster.setNode("node-0", "lost")
      simulation.round({ enginesEnd: false })
      simulation.thread.pass(120_000)
      simulation.round({ enginesEnd: false })
      expect(told()).toEqual([ready ? ["NodeUnreachable", "Node"] : ["PodNotReady", "Pod"]])
      simulation.cluster.setNode("node-0", "removed")
      for (let round = 0; round < 4; round++) simulation.round({ enginesEnd: false })
      expect(told()).toEqual([["NodeLost", "Node"]])
    }
  )

  it("an apply that waits for a workspace whose holder is gone, with its Pod on a silent node, takes no slot from others and says whom it waits for", () => {
    const simulation = new Simulation(0) // three slots
    const goOn = (rounds: number) => {
      for (let round = 0; round < rounds; round++) simulation.round({ enginesEnd: false })
    }
    simulation.start("a")
    simulation.create(0)
    goOn(12)
    simulation.cluster.setNode("node-0", "cut off")
    simulation.deleteTask(0)
    goOn(4)
    simulation.create(1)
    goOn(4)
    for (const template of [2, 3, 4]) simulation.create(template)
    goOn(8)
    const pods = simulation.cluster.pods.filter(({ metadata }) => metadata.name.includes("task-0"))
    expect(pods).toHaveLength(1)
    expect(simulation.tasks.map(({ metadata: { name }, status: { message } }) => [name, message])).toContainEqual([
      "task-1",
      `Waiting for Pod ${
        pods[0]?.metadata.name
      } of a former task task-0, which may still change workspace one; if it does not end, check node node-0, which has to answer or be removed.`
    ])
    expect(simulation.cluster.jobs.map(({ metadata }) => metadata.name).sort()).toEqual([
      "agent-job-task-2",
      "agent-job-task-3",
      "agent-job-task-4"
    ])
    comeToRest(simulation, 0)
    expect(simulation.tasks.map(({ status }) => status.phase)).toEqual(["Succeeded", "Succeeded", "Succeeded", "Succeeded"])
  })

  it("an apply on a node that is lost and removed ends as NodeLost, as the Pod says that is left of it", () => {
    const simulation = new Simulation(0)
    simulation.start("a")
    simulation.create(0)
    for (let round = 0; round < 12; round++) simulation.round({ enginesEnd: false })
    simulation.cluster.setNode("node-0", "lost")
    for (let round = 0; round < 4; round++) simulation.round({ enginesEnd: false })
    expect(simulation.tasks).toMatchObject([{ spec: { stage: "apply" }, status: { phase: "Running", claim: {} } }])
    simulation.cluster.setNode("node-0", "removed")
    comeToRest(simulation, 0)
    expect(simulation.tasks).toMatchObject([{ status: { phase: "Failed", reason: "NodeLost" } }])
  })

  it("an apply whose worker dies beside a container that does not end keeps its workspace until its engine is over, and says why", () => {
    const simulation = new Simulation(0)
    const goOn = (rounds: number) => {
      for (let round = 0; round < rounds; round++) simulation.round({ enginesEnd: false })
    }
    simulation.cluster.injectsProxy = true
    simulation.start("a")
    simulation.create(0)
    goOn(12)
    simulation.create(1)
    const [pod] = simulation.cluster.pods
    if (pod !== undefined) simulation.cluster.killWorker(pod)
    goOn(4)
    expect(simulation.truth.engines.map(({ running }) => running)).toEqual([true])
    simulation.thread.pass(120_000)
    goOn(1)
    expect(simulation.tasks).toMatchObject([
      { spec: { stage: "apply" }, status: { phase: "Running", reason: "OutOfMemory" } },
      { status: { phase: "Queued", reason: "WorkspaceBusy" } }
    ])
    comeToRest(simulation, 0)
    const [lost, next] = [simulation.lookedAt, simulation.tasks]
    expect([lost, next]).toMatchObject([[{ status: { phase: "Failed", reason: "OutOfMemory" } }], [{ status: { phase: "Succeeded" } }]])
    expect(simulation.cluster.pods).toEqual([])
  })

  it("a change after an apply that was lost waits, whoever leads or deletes its Lease, until a person deletes that apply; a plan and other workspaces do not wait", () => {
    const simulation = new Simulation(0)
    const goOn = (rounds: number) => {
      for (let round = 0; round < rounds; round++) simulation.round({ enginesEnd: true })
    }
    simulation.start("a")
    simulation.create(0)
    for (let round = 0; round < 12; round++) simulation.round({ enginesEnd: false })
    const [pod] = simulation.cluster.pods
    if (pod !== undefined) simulation.cluster.killWorker(pod)
    goOn(6)
    for (const template of [1, 2, 3]) simulation.create(template)
    goOn(20)
    simulation.start("b")
    goOn(6)
    simulation.crash("a")
    for (const { metadata } of simulation.server.all(leases)) simulation.server.remove(leases, metadata)
    simulation.thread.pass(3_700_000)
    goOn(20)
    const told = simulation.tasks.map(({ metadata: { name }, status: { phase, queue, reason } }) => [name, phase, reason, queue?.blockedBy])
    expect(told).toEqual([
      ["task-0", "Failed", "OutOfMemory", undefined],
      ["task-1", "Queued", "StateRescuePending", "task-0"],
      ["task-2", "Succeeded", "Completed", undefined],
      ["task-3", "Succeeded", "Completed", undefined]
    ])
    simulation.deleteTask(0)
    simulation.thread.pass(1_000)
    goOn(12)
    expect(simulation.tasks.map(({ status: { phase } }) => phase)).toEqual(["Succeeded", "Succeeded", "Succeeded"])
    comeToRest(simulation, 0)
  })

  it.each([{ by: 3, how: "applies by itself" }, { by: 5, how: "waits for a person" }])(
    "each of two runs that $how applies its own plan of its own archive, and nothing of the other's",
    ({ by }) => {
      const simulation = new Simulation(170, { withPool: true })
      simulation.start("a")
      for (const nth of [0, 1]) simulation.startRun(nth, by)
      comeToRest(simulation, 0)
      simulation.pool?.close()
      const { apply = [], plan = [] } = Object.groupBy(simulation.tasks, ({ spec: { stage } }) => stage)
      const digests = apply.map(({ spec: { plan, pool, source } }) => [pool?.runId, source.pool?.archiveSha256, plan?.sha256])
      expect(digests.sort()).toEqual(
        plan.map((task) => [task.spec.pool?.runId, task.spec.source.pool?.archiveSha256, planOf(stageIdOf(task))]).sort()
      )
      expect(new Set(digests.flat()).size).toBe(6)
    }
  )

  it("who follows a source tries nothing newer after an apply that was lost", () =>
    expect(runSteps(1, [
      go("a controller starts"),
      go("create a task", 5),
      ...goesWell(9),
      go("an engine ends"),
      ...goesWell(12),
      go("a worker is killed", 1),
      ...goesWell(8),
      go("a source has something new")
    ])).toBeUndefined())

  it("a plan that fails is made once, of a source or of a run, however often the controller starts anew and whatever it cannot report", () => {
    const simulation = new Simulation(1, { withPool: true })
    const goOn = (fault: Step["fault"]) => {
      for (let round = 0; round < 12; round++) simulation.round({ enginesEnd: false, fault })
    }
    simulation.start("a")
    simulation.create(6)
    simulation.startRun(0, 3)
    goOn("none")
    expect(simulation.truth.engines).toHaveLength(2)
    for (const engine of simulation.truth.engines) engine.end(1)
    for (let start = 0; start < 10; start++) {
      if (start % 2 === 0) simulation.pool?.crash()
      else simulation.pool?.start()
      goOn(start % 2 === 0 ? "none" : "lost answer")
      simulation.crash("a")
      simulation.thread.pass(3_700_000)
      simulation.start("a")
    }
    comeToRest(simulation, 0)
    const { runs = [] } = simulation.pool?.stored ?? {}
    simulation.pool?.close()
    expect(runs.map(({ status }) => status)).toEqual(["errored"])
    expect(simulation.tasks.map(({ metadata: { name }, status: { phase } }) => [name, phase]).sort()).toEqual([
      [`${runs[0]?.id}-plan`, "Failed"],
      ["task-6", "Failed"]
    ])
    expect([...simulation.made.values()]).toEqual([1, 1])
  })

  it("a state that is on its way when its lock is taken by force is not stored under the other's lock", () =>
    expect(runSteps(170, [
      ...aPlanEnds,
      ...goesWell(14),
      go("an engine goes on"),
      go("a state is locked by force")
    ])).toBeUndefined())

  it("what a run makes that was ended by force is in doubt, and the next run waits until a person has looked", () =>
    expect(runSteps(170, [
      ...aPlanEnds,
      ...goesWell(12),
      go("end a run by force"),
      go("start a run", 0, 3)
    ])).toBeUndefined())

  describe("after any number of rounds of an apply, from its lock to its last thing", () => {
    const rounds = [12, 13, 14, 15, 16, 17, 18, 19]
    const applyWith = (rounds: number, ...next: ReadonlyArray<Step>) => runSteps(170, [...aPlanEnds, ...goesWell(rounds), ...next])

    it.each(rounds)(
      "what an engine had made, or begun, that is killed is named by its result and with its run: %i",
      (rounds) => expect(applyWith(rounds, go("an engine is killed"))).toBeUndefined()
    )
    it("so it is though the first it tells of that is lost on its way", () =>
      expect(applyWith(13, go("answer a worker", 0, 0, "not sent"), go("an engine is killed"))).toBeUndefined())

    it.each(rounds)(
      "what an engine began whose provider dies is in doubt, though the engine ends in order: %i",
      (rounds) => expect(applyWith(rounds, go("a provider dies"))).toBeUndefined()
    )
    it.each([14, 16])("so it is though all that it tells of that is lost on its way, twice: %i", (rounds) => {
      const lost = (time: number) => [go("time goes by", 0, time), go("answer a worker", 1, 0, "not sent")]
      expect(applyWith(rounds, go("a provider dies"), ...lost(0), ...lost(1))).toBeUndefined()
    })

    it.each(rounds)(
      "what an engine makes whose run was ended by force is in doubt again after a person has settled that: %i",
      (rounds) => expect(applyWith(rounds, go("end a run by force"), go("a rescue is settled"), ...goesWell(6))).toBeUndefined()
    )
  })

  it.each([
    { when: "its engine is killed", broken: [...goesWell(18), go("an engine is killed")], imported: ["a", "b"], doubt: "imported" },
    {
      when: "its worker vanishes with news unsent",
      broken: [...goesWell(15), go("answer a worker"), go("an engine goes on"), go("an engine goes on"), go("a Pod is evicted", 1)],
      imported: ["a"],
      doubt: "open"
    }
  ])("what an apply had made when $when is imported by a run, which settles the doubt if nothing else is missing", (given) => {
    const steps = [...aPlanEnds, ...given.broken, ...goesWell(6), ...anImportApplies, go("an engine ends"), ...goesWell(5)]
    const simulation = new Simulation(170, { withPool: true })
    for (const step of steps) perform(simulation, step)
    const { pool } = simulation
    const { doubts = new Map(), runs = [] } = pool?.stored ?? {}
    const saved = runs.slice(0, 1).flatMap(({ workspaceId }) => pool?.savedOf(workspaceId, pool.stored) ?? [])
    pool?.close()
    expect([runs.map(({ status }) => status), saved.map((address) => address.split(".")[1]), [...doubts.values()]])
      .toEqual([["errored", "applied"], given.imported, [given.doubt]])
    expect(runSteps(170, steps)).toBeUndefined()
  })

  it("an import that is killed when it has written all, and whose lock was taken by force, leaves nothing new in doubt", () =>
    expect(runSteps(170, [
      ...aPlanEnds,
      ...goesWell(18),
      go("an engine is killed"),
      ...goesWell(6),
      ...anImportApplies,
      go("a state is locked by force"),
      go("an engine is killed")
    ])).toBeUndefined())

  it("a stranger's Job of the derived name stays as it is", () =>
    expect(runSteps(0, [go("a stranger's Job"), go("create a task"), go("a controller starts"), ...goesWell(8)])).toBeUndefined())

  it("a copy of its Job under another name is not taken for a task's Job, and stays as it is", () => {
    const copied = [go("create a task"), go("a stranger's Job", 0, 1)]
    expect(runSteps(0, [...copied, go("a controller starts"), ...goesWell(8)])).toBeUndefined()
    expect(runSteps(0, [go("a controller starts"), ...goesWell(2), ...copied, ...goesWell(8)])).toBeUndefined()
  })

  it.each([[0, 1], [1, 0]])(
    "an apply that took its workspace and got no Job does not wait for another, which waits for it: tasks %i and %i",
    (first, second) =>
      expect(runSteps(0, [
        go("a controller starts"),
        go("a quota is full"),
        go("create a task", first),
        ...goesWell(2),
        go("create a task", second),
        ...goesWell(8),
        go("time goes by", 0, 3),
        ...goesWell(4)
      ])).toBeUndefined()
  )

  it.each([3600, -3600])("a controller whose clock is %i s off ends no start", (off) => {
    const simulation = new Simulation(0)
    simulation.start("a", off * 1000)
    simulation.create(2)
    comeToRest(simulation, 0)
    expect(simulation.tasks).toMatchObject([{ status: { phase: "Succeeded" } }])
  })

  it.each([70, 4000])("an apply whose Pod waited %i s for a quota starts once there is room, by its first launch", (seconds) => {
    const simulation = new Simulation(2) // the seed with the shortest startup timeout
    simulation.start("a")
    simulation.cluster.hasRoomForPods = false
    simulation.create(0)
    const judged = comeToWait(simulation, seconds)
    expect(simulation.tasks).toMatchObject([{ status: { phase: "Starting", reason: "QuotaExceeded", launches: 1 } }])
    simulation.cluster.hasRoomForPods = true
    comeToRest(simulation, judged)
    expect(simulation.tasks).toMatchObject([{ status: { phase: "Succeeded", launches: 1 } }])
  })

  it("a run whose token may not be stored for ten minutes goes on once it may, though another controller leads then", () => {
    const simulation = new Simulation(2, { withPool: true }) // the seed with the shortest startup timeout
    simulation.start("a")
    simulation.server.refuses = "quota of Secrets"
    simulation.startRun(0, 0)
    comeToWait(simulation, 300)
    simulation.crash("a")
    simulation.start("b")
    const judged = comeToWait(simulation, 300)
    expect(simulation.tasks).toMatchObject([{ status: { phase: "Starting", reason: "JobCreated", launches: 1 } }])
    expect(simulation.tasks[0]?.status.message).toContain("the controller makes it")
    simulation.server.refuses = "nothing"
    comeToRest(simulation, judged)
    expect(simulation.tasks).toMatchObject([{ status: { phase: "Succeeded", launches: 1 } }])
    simulation.pool?.close()
  })

  it("a start goes on after the API server was away for longer than it may take, though the controller lost its lead meanwhile", () => {
    const simulation = new Simulation(2) // the seed with the shortest startup timeout
    simulation.start("a")
    simulation.create(0)
    const looks = (rounds: number) => {
      for (let round = 0; round < rounds; round++) simulation.round({ enginesEnd: true, containersStart: false })
    }
    looks(20)
    expect(simulation.cluster.jobs).toHaveLength(1)
    const away = simulation.config.policy.startupTimeoutSeconds + 60
    for (let second = 0; second < away; second++) {
      if (second === 10) simulation.loseLead("a", (away - 10) * 1_000)
      simulation.thread.pass(1_000)
      for (const wait of simulation.controllers.get("a")?.process.waits.slice() ?? []) wait.answer("not sent")
    }
    looks(50) // no kubelet is at work again at once
    comeToRest(simulation, judge(simulation, 0))
    expect(simulation.tasks).toMatchObject([{ status: { phase: "Succeeded", launches: 1 } }])
  })

  it("an evicted launch is made again, though the controller hears of the Pod's end minutes before that of its Job", () => {
    const simulation = new Simulation(0)
    simulation.start("a")
    simulation.create(0)
    const { cluster } = simulation
    const until = (what: () => boolean) => {
      for (let round = 0; round < 100 && !what(); round++) simulation.round({ enginesEnd: true, containersStart: false })
      expect(what()).toBe(true)
    }
    until(() => cluster.pods.some(({ spec }) => spec.nodeName !== undefined))
    for (const pod of cluster.pods) cluster.evict(pod)
    until(() => simulation.tasks.some(({ status }) => status.reason === "Evicted"))
    const watch = simulation.watchesOf("a").find(({ plural }) => plural === "jobs")
    if (watch !== undefined) watch.deliver = () => undefined
    comeToWait(simulation, 240)
    expect([cluster.jobs, cluster.pods, simulation.tasks]).toMatchObject([
      [],
      [],
      [{ status: { phase: "Starting", reason: "Evicted", launches: 1 } }]
    ])
    watch?.end()
    comeToRest(simulation, 0)
    expect(simulation.tasks).toMatchObject([{ status: { phase: "Succeeded", launches: 2 } }])
  })

  it("Pods that are deleted before the claim, each while a quota is full, are launched again no oftener than others", () => {
    const simulation = new Simulation(1)
    simulation.start("a")
    simulation.create(0)
    const { cluster } = simulation
    for (let launch = 0; launch < 8; launch++) {
      cluster.hasRoomForPods = true
      for (let round = 0; round < 200 && cluster.pods.length === 0; round++) {
        simulation.thread.pass(900)
        simulation.round({ enginesEnd: true, containersStart: false })
      }
      cluster.hasRoomForPods = false
      for (const pod of cluster.pods) cluster.deletePod(pod)
      comeToWait(simulation, 120)
    }
    expect(simulation.tasks).toMatchObject([{ status: { phase: "Failed", reason: "Evicted", launches: 5 } }])
  })

  it("a task fails whose Job is deleted with its Pod before a worker starts, and kept by somebody's finalizer", () => {
    const simulation = new Simulation(0)
    simulation.start("a")
    simulation.create(0)
    const { cluster } = simulation
    for (let round = 0; round < 6; round++) simulation.round({ containersStart: false, enginesEnd: false })
    for (const job of cluster.jobs) {
      cluster.keepJob(job)
      simulation.deleteJob(job.metadata)
      cluster.deletePodsOf(job)
    }
    comeToRest(simulation, 0)
    expect(simulation.tasks).toMatchObject([{ status: { phase: "Failed", reason: "StartupTimeout", launches: 1 } }])
  })

  it("what a newer task puts past the history limit goes at once, not when it is looked at again", () => {
    const simulation = new Simulation(0, { withPool: true })
    simulation.start("a")
    for (const run of [0, 1, 2]) {
      simulation.startRun(0, 3)
      comeToRest(simulation, 0)
      expect(simulation.tasks, `plans and applies after run ${run}`).toHaveLength(2 * simulation.config.policy.historyPerWorkspace)
    }
    simulation.pool?.close()
  })
})
