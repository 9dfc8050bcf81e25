// What the server tells of a stage whose agent is silent, of a run behind such a one, and of the time that a stage took.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { agent, applying, ask, cancelled, evicted, person, server, worker } from "../live-server.ts"

const waitOf = (url: string, run: string) => Effect.map(person(url).view(run), ({ queue }) => queue)

/** Returns how many stages came how far, as the alerts see it. */
const progress = (url: string, ...names: ReadonlyArray<string>) =>
  Effect.map(
    ask(`${url}/metrics`, undefined),
    ({ text }) => names.map((name) => new RegExp(`^agent_job_server_stages\\{progress="${name}"\\} (\\d+)$`, "mu").exec(text)?.[1])
  )

/** An apply that its worker has begun, with a second run behind it. */
const begun = Effect.gen(function*() {
  const { applier, apply, id, url } = yield* applying
  yield* applier.as("GET", taskPath.assignment)
  const behind = yield* person(url).start("demo")
  return { applier, apply, behind, id, url }
})

const silence = (run: string, since = "1970-01-01T00:00:00.000Z") =>
  `has not been heard since ${since}, and no other of its pool is there; if this lasts, check that its controller runs and reaches the server. Only if its AgentTask is gone, as with its cluster, end the run with agent-job cancel ${run}, and then with --force.`
/** The same while another agent of the pool is heard, which may be of the same cluster, or of one that was built in its place. */
const silenceBesideAnother = (run: string) =>
  silence(run).replace(
    "and no other of its pool is there",
    "while another of its pool is there, which tells of the stage if it has taken its place"
  )
const begunAnd = (silence: string) => `The stage may still be running, but agent agent-1 ${silence}`

describe("a stage that has begun", () => {
  it.effect("says since when its agent is not heard, to those behind it too, and whether another of its pool is", () =>
    Effect.gen(function*() {
      const { behind, id, url } = yield* begun
      yield* TestClock.adjust("89 seconds")
      expect([yield* waitOf(url, id), yield* progress(url, "started", "silent")]).toEqual([undefined, ["1", "0"]])
      yield* TestClock.adjust("1 day")
      expect(yield* waitOf(url, id)).toEqual({ position: 1, message: begunAnd(silence(id)) })
      expect((yield* waitOf(url, behind))?.message).toBe(`The run ${id} holds the workspace and is applying: ${begunAnd(silence(id))}`)
      expect(yield* progress(url, "started", "silent")).toEqual(["0", "1"])
      yield* agent(url, "new-pod").cancellations(0, 0, "drained") // watches what has begun, as any that is there
      yield* TestClock.adjust("6 seconds") // the metrics are counted now and then
      const message = begunAnd(silenceBesideAnother(id))
      expect([yield* waitOf(url, id), yield* progress(url, "started", "silent")]).toEqual([{ position: 1, message }, ["0", "1"]])
      expect((yield* waitOf(url, behind))?.message).toBe(`The run ${id} holds the workspace and is applying: ${message}`)
      yield* agent(url).acquire()
      expect(yield* waitOf(url, id)).toBeUndefined()
    }))

  it.effect("says so after the doubt that its agent has told", () =>
    Effect.gen(function*() {
      const { apply, id, url } = yield* begun
      yield* agent(url).wait(apply.id, "NodeUnreachable", "Node n does not answer.")
      yield* TestClock.adjust("89 seconds")
      expect(yield* waitOf(url, id)).toEqual({ position: 1, reason: "NodeUnreachable", message: "Node n does not answer." })
      yield* TestClock.adjust("1 second")
      expect(yield* waitOf(url, id)).toEqual({
        position: 1,
        reason: "NodeUnreachable",
        message: `Node n does not answer. But agent agent-1 ${silence(id)}`
      })
    }))
})

describe("a stage that an agent has taken", () => {
  it.effect("says what its agent told, and once no agent of the pool is heard, since when", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const plan = yield* agent(url).take
      yield* agent(url).wait(plan.id, "JobCreated", "Job agent-job-x was created; its Pod is starting.")
      yield* TestClock.adjust("1 day")
      expect(yield* waitOf(url, id)).toEqual({
        position: 1,
        reason: "JobCreated",
        message: `Job agent-job-x was created; its Pod is starting. But agent agent-1 ${silence(id)}`
      })
      expect(yield* progress(url, "taken", "silent")).toEqual(["0", "1"])
      yield* agent(url, "new-pod").cancellations(0, 0, "drained") // may be of another cluster
      yield* TestClock.adjust("6 seconds") // the metrics are counted now and then
      expect([(yield* waitOf(url, id))?.message, yield* progress(url, "taken", "silent")]).toEqual([
        `Job agent-job-x was created; its Pod is starting. But agent agent-1 ${silenceBesideAnother(id)}`,
        ["0", "1"]
      ])
      yield* agent(url, "new-pod").wait(plan.id, "ImagePull", "It has no image.") // leads where the task is
      yield* TestClock.adjust("6 seconds")
      expect([yield* waitOf(url, id), yield* progress(url, "taken", "silent")]).toEqual([
        { position: 1, reason: "ImagePull", message: "It has no image." },
        ["1", "0"]
      ])
    }))

  const unstopped = (run: string) =>
    `Agent agent-1 has not stopped the stage, as it was asked to at 1970-01-01T01:00:00.000Z. Only if its AgentTask is gone, as with its cluster, end the run with agent-job cancel ${run} --force.`

  it.effect("is to be stopped, and not about to start, once a cancel was asked for, and says later how to end it without its agent", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(3600 * 1000)
      const url = yield* server
      const id = yield* person(url).start("demo")
      const plan = yield* agent(url).take
      yield* person(url).act(id, "cancel")
      yield* TestClock.adjust("299 seconds")
      yield* agent(url).acquire()
      expect((yield* waitOf(url, id))?.message).toBe("Agent agent-1 has the stage and has not stopped it yet.")
      yield* TestClock.adjust("1 second")
      expect(yield* waitOf(url, id)).toEqual({ position: 1, message: unstopped(id) })
      yield* agent(url).wait(plan.id, "ImagePull", "It has no image.")
      expect(yield* waitOf(url, id)).toEqual({ position: 1, reason: "ImagePull", message: `${unstopped(id)} It has no image.` })
    }))

  it.effect("says that its task is gone once its agent finds none to cancel, and how to end it", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(3600 * 1000)
      const url = yield* server
      const id = yield* person(url).start("demo")
      const plan = yield* agent(url).take
      const told = { reason: "ConcurrencyLimit", message: "20 of 20 tasks run." }
      yield* agent(url).wait(plan.id, told.reason, told.message)
      const ends = (by: string) => Effect.map(agent(url, by).reportTaskless(plan.id, cancelled), ({ status }) => status)
      expect([yield* ends("agent-1"), yield* waitOf(url, id)]).toEqual([409, { position: 1, ...told }])
      yield* person(url).act(id, "cancel")
      expect([yield* ends("of-another-cluster"), yield* waitOf(url, id)]).toEqual([409, { position: 1, ...told }])
      const gone = { position: 1, reason: "Lost", message: `${unstopped(id)} Agent agent-1 has no AgentTask of it.` }
      expect([yield* ends("agent-1"), yield* waitOf(url, id)]).toEqual([409, gone])
      yield* worker(url, plan).as("GET", taskPath.assignment)
      yield* TestClock.adjust("6 minutes")
      yield* agent(url).acquire()
      expect(yield* waitOf(url, id)).toBeUndefined() // it may be saving its state
      expect([yield* ends("agent-1"), yield* waitOf(url, id)]).toEqual([409, gone])
    }))

  it.effect("has taken no time before its worker began, however long its agent has had it", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const plan = yield* agent(url).take
      yield* TestClock.adjust("2 hours")
      expect((yield* person(url).view(id)).stages[0]).not.toHaveProperty("startedAt")
      yield* worker(url, plan).as("GET", taskPath.assignment)
      expect((yield* person(url).view(id)).stages[0]).toMatchObject({ startedAt: "1970-01-01T02:00:00.000Z" })
    }))

  it.effect("says that its agent has it, and when that asks no more", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* agent(url).take
      yield* TestClock.adjust("89 seconds")
      expect((yield* person(url).view(id)).queue?.message).toBe("Agent agent-1 has the stage and is about to start its Pod.")
      yield* TestClock.adjust("1 second")
      expect((yield* person(url).view(id)).queue?.message).toBe(
        `Agent agent-1 has the stage, but has not been heard since 1970-01-01T00:00:00.000Z, and no other of its pool is there; if this lasts, check that its controller runs and reaches the server. Only if its AgentTask is gone, as with its cluster, end the run with agent-job cancel ${id}, and then with --force.`
      )
      yield* agent(url).acquire()
      expect((yield* person(url).view(id)).queue?.message).toContain("is about to start its Pod")
    }))

  it.effect("says that its agent has it for as long as that says that it has enough, and that it was silent after that", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* agent(url).take
      for (let told = 0; told < 3; told++) {
        yield* TestClock.adjust("1 minute")
        yield* agent(url).cancellations(0, 0, "full")
      }
      expect((yield* person(url).view(id)).queue?.message).toBe("Agent agent-1 has the stage and is about to start its Pod.")
      yield* TestClock.adjust("2 minutes")
      expect((yield* person(url).view(id)).queue?.message).toContain("since 1970-01-01T00:03:00.000Z, and no other")
    }))

  it.effect("does not take an agent as connected that last asked before the clock was put back", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(3600 * 1000)
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* agent(url).take
      yield* TestClock.setTime(3595 * 1000)
      expect((yield* person(url).view(id)).queue?.message).toContain("is about to start its Pod")
      yield* TestClock.setTime(0)
      expect((yield* person(url).view(id)).queue?.message).toBe(
        `Agent agent-1 has the stage, but has not been heard since before the server's clock was put back, and no other of its pool is there; if this lasts, check that its controller runs and reaches the server. Only if its AgentTask is gone, as with its cluster, end the run with agent-job cancel ${id}, and then with --force.`
      )
      expect((yield* ask(`${url}/metrics`, undefined)).text).toContain("agent_job_server_agents 0")
    }))

  it.effect("says that another agent asks, if one does: after a failover its task is there under another name", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* agent(url, "old-pod").take
      yield* TestClock.adjust("2 minutes")
      yield* agent(url, "new-pod").acquire()
      const silence = "Agent old-pod has the stage, but has not been heard since 1970-01-01T00:00:00.000Z,"
      expect((yield* person(url).view(id)).queue?.message).toContain(
        `${silence} while another of its pool is there, which tells of the stage`
      )
      yield* TestClock.adjust("2 minutes")
      expect((yield* person(url).view(id)).queue?.message).toContain(`${silence} and no other of its pool is there`)
    }))
})

describe("a run behind another", () => {
  it.effect("says why that one is pending", () =>
    Effect.gen(function*() {
      const url = yield* server
      const first = yield* person(url).start("demo")
      const behind = yield* person(url).start("demo")
      expect(yield* waitOf(url, behind)).toEqual({
        position: 1,
        blockedBy: first,
        message:
          `The run ${first} holds the workspace and is pending: No controller has asked for work in the last 90 seconds; check that one runs, is not drained, and has the right pool token.`
      })
    }))
})

describe("a plan that is made again", () => {
  it.effect("is offered once its time has come", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const plan = yield* agent(url).take
      yield* worker(url, plan).result(evicted)
      yield* agent(url).acquire()
      const why = "The Pod had to leave its node during tofu plan; nothing was changed. It is planned again 5 seconds later, as attempt 2."
      yield* TestClock.adjust("4 seconds")
      expect((yield* waitOf(url, id))?.message).toBe(why)
      yield* TestClock.adjust("56 seconds")
      expect((yield* waitOf(url, id))?.message).toBe(`${why} It is offered to the agents and waits for one to take it.`)
    }))
})
