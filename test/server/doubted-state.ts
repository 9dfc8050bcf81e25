// A run in its apply stage whose state came into doubt, with what a person sees and decides of it.
// Used by the tests of rescues, of refused states, of locks and of what settles a doubt.
import { Effect } from "effect"
import type { Assignment } from "../../src/schema/api/pool-api.ts"
import { statePath } from "../../src/schema/api/state.ts"
import { agent, directory, failed, person, planWith, serve, state, worker } from "./live-server.ts"

/** A run in its apply stage that holds the lock `a` of its state and has pushed the serial 1. `first` runs before it takes the lock. */
export const applyingLockedWith = <A>(made: string, first: (url: string, apply: Assignment) => Effect.Effect<A>) =>
  Effect.gen(function*() {
    const url = yield* serve(made)
    const id = yield* person(url).start("demo", { "auto-apply": true })
    yield* planWith(url)
    const apply = yield* agent(url).take
    const arrive = yield* first(url, apply)
    const applier = worker(url, apply)
    yield* applier.lock("a")
    yield* applier.pushState(state(1), "a", 1)
    const looked = Effect.map(person(url).as("GET", statePath.state("demo")), ({ json }) => json)
    const settle = (body: object) => person(url).settle("demo", body)
    return { url, id, apply, applier, arrive, looked, settle }
  })
export const applyingLockedIn = (made: string) => applyingLockedWith(made, () => Effect.void)
export const applyingLocked = Effect.flatMap(directory, applyingLockedIn)

/** The next run in its apply stage, which holds the lock `b`. */
export const nextApply = Effect.fnUntraced(function*(url: string) {
  yield* person(url).start("demo", { "auto-apply": true })
  yield* planWith(url)
  const apply = yield* agent(url).take
  yield* worker(url, apply).lock("b")
  return apply
})

export const lost = { ...failed("The worker ended without a result."), reason: "Lost" } as const

/** Brings the state of a workspace into doubt. */
export const doubtOf = Effect.fnUntraced(function*(url: string, name: string) {
  yield* person(url).start(name, { "auto-apply": true })
  yield* planWith(url)
  const apply = yield* agent(url).take
  yield* worker(url, apply).lock("c")
  yield* agent(url).report(apply.id, lost)
})

/** The first of these after it was reported as lost while it held the lock. */
export const doubted = Effect.gen(function*() {
  const made = yield* applyingLocked
  yield* agent(made.url).report(made.apply.id, lost)
  return made
})
