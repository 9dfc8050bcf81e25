// The outputs of the state that a run left, and the state's serial.
// Invariant: what a later run, or a person, has stored is never given as this run's.
// Used by run-directory.
import { Effect } from "effect"
import type { RunView } from "../../schema/api/run.ts"
import type { StateView } from "../../schema/api/state.ts"
import { patiently } from "../server/patiently.ts"
import type { Output } from "../server/server-answers.ts"
import { ServerClient } from "../server/server-client.ts"
import type { ServerFailure } from "../terminal/failure.ts"
import { Screen } from "../terminal/screen.ts"

export interface Outputs {
  /** Null if they are not known: nobody asked for them, the server did not return them, or the state is another one by now. */
  readonly outputs: ReadonlyArray<Output> | null
  /** Null if there is no state, or it is not known which. */
  readonly stateSerial: number | null
}

const noState: Outputs = { outputs: [], stateSerial: null }
export const notKnown: Outputs = { outputs: null, stateSerial: null }

/** Reports whether the version was stored after the run, which had the workspace until its end. */
const isLater = ({ id, status, timestamps }: RunView, { createdAt, runId }: NonNullable<StateView["version"]>): boolean =>
  runId !== id && Date.parse(createdAt) > Date.parse(timestamps[status] ?? createdAt)

/** Returns the call's result, or null after a message if the server does not give it: the run itself has succeeded by then. */
const orNull = Effect.fnUntraced(function*<A>(call: Effect.Effect<A, ServerFailure>) {
  const screen = yield* Screen
  return yield* patiently(call).pipe(Effect.catch(({ message }) => Effect.as(screen.line(message), null)))
})

/**
 * Returns what the run left; asks only after a run that applied its plan, or that found nothing to apply. The server gives the outputs of
 * the newest version alone, so that they are this run's only if that is the same one before and after.
 */
export const outputsOf = Effect.fn("outputsOf")(function*(run: RunView, workspaceId: string) {
  const screen = yield* Screen
  const server = yield* ServerClient
  const { planOnly, status, workspace } = run
  const tellChanged = screen.line(
    `The state of ${workspace} was changed again after this run, so the outputs of this run are not shown; see what is there now: agent-job state show ${workspace}`
  )
  if (status !== "applied" && (status !== "planned_and_finished" || planOnly)) return notKnown
  const state = orNull(server.state(workspace))
  const before = yield* state
  if (before === null) return notKnown
  if (before.version === undefined) return noState
  const { id, serial } = before.version
  if (isLater(run, before.version)) return yield* Effect.as(tellChanged, notKnown)
  const outputs = yield* orNull(server.outputs(workspaceId))
  const after = outputs === null ? null : yield* state
  if (after === null) return { outputs: null, stateSerial: serial }
  if (after.version?.id === id) return { outputs, stateSerial: serial }
  return yield* Effect.as(tellChanged, { outputs: null, stateSerial: serial })
})
