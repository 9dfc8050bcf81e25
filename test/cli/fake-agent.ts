// An agent that takes whatever the server offers and plays each stage from a script: log, saved plan, state and result. It runs nothing.
// It can wait before the last piece of a log until a test lets it go on, so that the test sees the earlier pieces arrive.
// Used by the tests of run, logs and main.
import { Deferred, Effect, Option } from "effect"
import type { Assignment } from "../../src/schema/api/pool-api.ts"
import type { StageResult } from "../../src/schema/task/stage-result.ts"
import { agent, cancelled, sha256, succeeded, worker } from "../server/live-server.ts"

export interface Part {
  /** Pieces of the log, in the order in which they are sent. */
  readonly log: ReadonlyArray<string>
  readonly result: StageResult
  /** The state that the stage pushes. Only an apply has one. */
  readonly state?: { readonly serial: number; readonly outputs: Readonly<Record<string, unknown>> }
  /** The agent waits for this before it sends the last piece of the log. Meanwhile it obeys a cancel. */
  readonly until?: Deferred.Deferred<void>
}

export interface Play {
  readonly plan: Part
  readonly apply?: Part
}

const plan = "a saved plan"

export const green = (text: string) => `\u001b[32m${text}\u001b[0m`

/** A plan that adds three resources, and its apply with three outputs, one of them sensitive. */
export const quickstart: Play = {
  plan: {
    log: ["Initializing…\n", `${green("+")} card.ada\n`],
    result: succeeded({ changes: { add: 3, change: 0, destroy: 0 }, hasChanges: true, planDigest: sha256(plan) as never })
  },
  apply: {
    log: ["card.ada: Creating...\n", `${green("Apply complete!")}\n`],
    result: succeeded({ changes: { add: 3, change: 0, destroy: 0 }, statePushed: true }),
    state: {
      serial: 7,
      outputs: {
        cards: { value: { ada: "hello, ada" }, type: ["object", { ada: "string" }] },
        created_at: { value: "2026-01-31T12:00:00Z", type: "string" },
        session: { value: "swordfish", type: "string", sensitive: true }
      }
    }
  }
}

const isCancelled = (url: string, id: string) => Effect.map(agent(url).cancellations(0, 1), ({ ids }) => ids.includes(id))

const untilCancelled = (url: string, id: string): Effect.Effect<"cancelled"> =>
  Effect.flatMap(isCancelled(url, id), (yes) => yes ? Effect.succeed("cancelled" as const) : untilCancelled(url, id))

const push = (url: string, assignment: Assignment, { outputs, serial }: NonNullable<Part["state"]>) =>
  Effect.gen(function*() {
    const at = worker(url, assignment)
    const { json } = yield* at.lock("lock-1")
    yield* at.pushState(
      { version: 4, terraform_version: "1.12.6", serial, lineage: "a-lineage", outputs, resources: [] },
      "lock-1",
      json.epoch
    )
    yield* at.unlock("lock-1")
  })

const act = Effect.fnUntraced(function*(url: string, assignment: Assignment, { log, result, state, until }: Part) {
  const at = worker(url, assignment)
  yield* at.as("GET", "/api/task/v1/assignment")
  let offset = 0
  const say = (text: string) =>
    Effect.suspend(() => {
      const from = offset
      offset += Buffer.byteLength(text)
      return at.log(from, text)
    })
  yield* Effect.forEach(log.slice(0, -1), say)
  const ended = until === undefined
    ? "went on"
    : yield* Effect.raceFirst(Effect.as(Deferred.await(until), "went on" as const), untilCancelled(url, assignment.id))
  if (ended === "cancelled") {
    yield* say("Interrupted, the state is saved.\n")
    yield* at.result(cancelled)
    return
  }
  yield* Effect.forEach(log.slice(-1), say)
  if (assignment.stage === "plan" && result.planDigest !== undefined) yield* at.savePlan(plan)
  if (state !== undefined) yield* push(url, assignment, state)
  yield* at.result(result)
})

/** Takes assignments and plays them until the scope closes. */
export const playing = (url: string, play: Play) =>
  Effect.forkScoped(Effect.forever(Effect.gen(function*() {
    for (const assignment of yield* agent(url).acquire(5)) {
      yield* agent(url).acknowledge(assignment.id)
      const part = Option.fromNullishOr(assignment.stage === "plan" ? play.plan : play.apply)
      if (Option.isSome(part)) yield* Effect.forkScoped(act(url, assignment, part.value))
    }
  })))
