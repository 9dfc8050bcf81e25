// Shows the log of a run that was started elsewhere or is over: what there is now, or all of it as it grows.
// Used by logs.
import { Effect, Option } from "effect"
import { inWords, type Step } from "../../core/run/run-machine.ts"
import type { RunView } from "../../schema/api/run.ts"
import { patiently } from "../server/patiently.ts"
import { ServerClient } from "../server/server-client.ts"
import { sayingServer } from "../server/with-server.ts"
import { Failed, isAwayForNow, NothingThere } from "../terminal/failure.ts"
import { Screen } from "../terminal/screen.ts"
import { follow, followStep, lessOften, showLog } from "./follow-run.ts"
import { badEnd, hasApply, stageOf, stepIsOver, waiting } from "./summary.ts"

export interface LogRequest {
  /** Id of the run; the newest if none. */
  readonly run: Option.Option<string>
  readonly workspace: Option.Option<string>
  /** Step whose log is shown; both if none. */
  readonly step: Option.Option<Step>
  readonly follow: boolean
}

const newest = Effect.fnUntraced(function*(workspace: Option.Option<string>) {
  const server = yield* ServerClient
  const run = yield* server.newestRun(workspace)
  // No list has what a run that failed left behind.
  if (Option.isSome(run)) return run.value.status === "errored" ? yield* server.run(run.value.id) : run.value
  const where = Option.match(workspace, { onNone: () => "", onSome: (name) => ` in workspace ${name}` })
  return yield* new NothingThere({ message: `There is no run yet${where}; start one with: agent-job run DIR` })
})

/** Returns that a plan waits for a decision, as a sentence but for its beginning, and what to type. */
const undecided = ({ id }: RunView): string => `waits for a decision: agent-job approve ${id}, or agent-job discard ${id}`

const isUndecided = (run: RunView): boolean => run.status === "planned" || !stepIsOver(run, "plan")

/** Waits until the run has its plan and that is decided on, and returns the run as it is then. */
const decided = Effect.fnUntraced(function*(run: RunView) {
  const screen = yield* Screen
  const server = yield* ServerClient
  const tell = (run: RunView) => screen.status(run.status === "planned" ? `${run.id} ${undecided(run)}` : waiting(run, "plan"))
  if (!isUndecided(run)) return run
  yield* tell(run)
  return yield* patiently(server.run(run.id)).pipe(
    Effect.tap((run) => isUndecided(run) ? tell(run) : Effect.void),
    Effect.repeat({ while: isUndecided, schedule: lessOften })
  )
})

/** The run as it was seen last, and whether there was any log to show. */
interface Shown {
  readonly run: RunView
  readonly any: boolean
}

const followAll = Effect.fnUntraced(function*(run: RunView, steps: ReadonlyArray<Step>) {
  const screen = yield* Screen
  let now: Shown = { run, any: false }
  for (const step of steps) {
    if (step === "apply") now = { ...now, run: yield* decided(now.run) }
    if (step === "apply" && now.run.timestamps.confirmed === undefined) return now
    const followed = follow(step, screen.colours)
    now = { run: yield* followStep(run.id, followed), any: now.any || followed.begun }
  }
  return now
})

const showAll = Effect.fnUntraced(function*(run: RunView, steps: ReadonlyArray<Step>) {
  const screen = yield* Screen
  let any = false
  for (const step of steps) {
    const stage = stageOf(run, step)
    if (stage === undefined) continue
    const followed = follow(step, screen.colours)
    yield* showLog(followed, stage.logUrl, 0)
    yield* screen.text(followed.text.rest())
    any ||= followed.begun
  }
  return { run, any } satisfies Shown
})

/** Returns how the run did not succeed, unless the log of its plan alone was asked for, and that is not to blame. */
const badEndOf = (run: RunView, step: Option.Option<Step>) =>
  Option.contains(step, "plan") && (hasApply(run) || run.status === "discarded") ? undefined : badEnd(run)

/**
 * Shows the log; says so when there is none yet, and fails when there will be none. Says why the run did not succeed; who followed it fails
 * with that, as `run` does.
 */
export const showRunLog = Effect.fn("showRunLog")(function*({ follow, run: id, step, workspace }: LogRequest) {
  const screen = yield* Screen
  const server = yield* ServerClient
  const look = sayingServer(server)(Option.match(id, { onNone: () => newest(workspace), onSome: server.run }))
  const asked = yield* patiently(look, isAwayForNow) // where nothing answers, the address may be wrong
  const steps = Option.match(step, { onNone: () => ["plan", "apply"] as const, onSome: (step) => [step] })
  const { any, run } = yield* follow ? followAll(asked, steps) : showAll(asked, steps)
  const bad = badEndOf(run, step)
  if (bad !== undefined && follow) return yield* bad
  if (bad !== undefined) yield* screen.line(bad.message)
  if (any) return
  if (run.final) {
    const why = run.removedAt === undefined
      ? `nothing was written to it, and the run is ${inWords(run.status)}`
      : "it was removed, as the run is old"
    return yield* new Failed({
      message: `${run.id} has no ${
        Option.match(step, {
          onNone: () => "",
          onSome: (step) => `${step} `
        })
      }log: ${why}; see agent-job get ${run.id}.`
    })
  }
  const due = stepIsOver(run, "plan") ? "apply" : "plan"
  yield* screen.line(
    `${run.id} has no ${Option.getOrElse(step, () => due)} log yet. ${
      run.status === "planned" ? `It ${undecided(run)}` : waiting(run, due)
    }`
  )
})
