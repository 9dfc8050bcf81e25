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

/** Does a chore at once, and again each time so long after its end. Its failure is logged, and it is tried again the next time. */
const each = <R>(every: Duration.Input, failed: string, chore: Effect.Effect<unknown, unknown, R>) =>
  chore.pipe(
    Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.logWarning(failed, cause)),
    Effect.repeat(Schedule.spaced(every))
  )

const sweep = Effect.gen(function*() {
  const { bytes, files } = yield* (yield* NamedBlobs).sweep(Duration.toMillis(unnamedFor))
  if (files > 0) {
    yield* Effect.logInfo(
      "files in blobs/ that no record names stay for 30 days; after a restore they may be newer states, see docs/state.md",
      { files, bytes }
    )
  }
})

/**
 * The pause before what a pass of the retention left: three times as long as the pass, on a slow disk too, so that most of the time stays for
 * requests. The first passes of a server with 400,000 old runs are over in hours.
 */
const pauseAfter = (pass: Duration.Duration) => Duration.max(Duration.seconds(5), Duration.times(pass, 3))

const retain = Effect.flatMap(Retention, ({ pass }) => Effect.timed(pass())).pipe(
  Effect.tap(([took, more]) => more ? Effect.sleep(pauseAfter(took)) : Effect.void),
  Effect.repeat({ while: ([, more]) => more })
)

const advance = each(
  "5 minutes",
  "the plans whose turn has come could not be offered, which is tried again later",
  Effect.flatMap(RunQueue, ({ advanceAll }) => advanceAll)
)
const untidy = "the data directory could not be tidied up, which is tried again later"

export const upkeep = Layer.effectDiscard(Effect.forEach([
  Effect.delay(advance, "5 minutes"), // not at once: after a start no agent has been heard for as long as the server was away
  each(
    "1 minute",
    "it could not be told who sent the most lately, which is tried again in a minute",
    Effect.flatMap(LittleRoom, ({ tell }) => tell)
  ),
  each("1 hour", untidy, retain),
  each("1 day", untidy, sweep),
  each(
    "1 day",
    "it could not be seen whether all states have their files, which is tried again tomorrow",
    Effect.flatMap(MissingStates, ({ tell }) => tell)
  ),
  each("1 day", "old agents could not be forgotten, which is tried again tomorrow", Effect.flatMap(Agents, ({ forget }) => forget))
], (chore) => Effect.forkScoped(chore)))
