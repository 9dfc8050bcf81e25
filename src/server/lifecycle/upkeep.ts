// The server's chores: each minute, look for room; every five, begin plans that wait for agents that are gone; hourly, remove what is old;
// daily, old agents and files without a row, and tell of states without a file. Invariant: such files go only after this database saw them
// unnamed for 30 days: beside a restored copy they may be newer states. Used by server/lifecycle/server.
import { Cause, Duration, Effect, Layer, Schedule } from "effect"
import { Agents } from "../run/agents.ts"
import { RunQueue } from "../run/run-queue.ts"
import { NamedBlobs } from "../store/named-blobs.ts"
import { LittleRoom } from "./little-room.ts"
import { MissingStates } from "./missing-states.ts"
import { Retention } from "./retention.ts"

const unnamedFor = Duration.days(30)

/** Logs the failure of a chore, which is tried again the next time, and returns `otherwise`. */
const undisturbed = <A, E, R>(
  what: Effect.Effect<A, E, R>,
  otherwise: A,
  failed = "the data directory could not be tidied up, which is tried again later"
) =>
  Effect.catchCause(
    what,
    (cause) => Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.as(Effect.logWarning(failed, cause), otherwise)
  )

/** Not at once: after a start no agent has been heard for as long as the server was away. */
const advance = Effect.flatMap(
  RunQueue,
  ({ advanceAll }) => undisturbed(advanceAll, undefined, "the plans whose turn has come could not be offered, which is tried again later")
).pipe(Effect.delay("5 minutes"), Effect.forever)

const sweep = undisturbed(
  Effect.gen(function*() {
    const { files, bytes } = yield* (yield* NamedBlobs).sweep(Duration.toMillis(unnamedFor))
    if (files > 0) {
      yield* Effect.logInfo(
        "files in blobs/ that no record names stay for 30 days; after a restore they may be newer states, see docs/state.md",
        { files, bytes }
      )
    }
  }),
  undefined
)

/**
 * The pause before what a pass of the retention left: three times as long as the pass, on a slow disk too, so that most of the time stays for
 * requests. The first passes of a server with 400,000 old runs are over in hours.
 */
const pauseAfter = (pass: Duration.Duration) => Duration.max(Duration.seconds(5), Duration.times(pass, 3))

const retain = Effect.flatMap(Retention, ({ pass }) => Effect.timed(undisturbed(pass(), false))).pipe(
  Effect.flatMap(([took, more]) => Effect.as(more ? Effect.sleep(pauseAfter(took)) : Effect.void, more)),
  Effect.repeat({ while: (more) => more })
)

const forgetAgents = Effect.flatMap(
  Agents,
  (agents) => undisturbed(agents.forget, undefined, "old agents could not be forgotten, which is tried again tomorrow")
)

const lookForMissing = Effect.flatMap(
  MissingStates,
  ({ tell }) => undisturbed(tell, undefined, "it could not be seen whether all states have their files, which is tried again tomorrow")
)

const lookForRoom = Effect.flatMap(
  LittleRoom,
  ({ tell }) => undisturbed(tell, undefined, "it could not be told who sent the most lately, which is tried again in a minute")
)

export const upkeep = Layer.effectDiscard(Effect.all([
  Effect.forkScoped(advance),
  Effect.forkScoped(Effect.repeat(lookForRoom, Schedule.spaced("1 minute"))),
  Effect.forkScoped(Effect.repeat(retain, Schedule.spaced("1 hour"))),
  Effect.forkScoped(Effect.repeat(sweep, Schedule.spaced("1 day"))),
  Effect.forkScoped(Effect.repeat(lookForMissing, Schedule.spaced("1 day"))),
  Effect.forkScoped(Effect.repeat(forgetAgents, Schedule.spaced("1 day")))
]))
