// The question before a plan is applied, and what becomes of the run by its answer, or by somebody who decides elsewhere meanwhile.
// Invariant: only the word "yes" applies; any other answer discards, and no answer at all leaves the run as it is.
// Used by run.
import { Data, Duration, Effect, Option, Schedule } from "effect"
import type { RunView } from "../schema/run.ts"
import { patiently } from "./follow-run.ts"
import { Screen } from "./screen.ts"
import { ServerClient } from "./server-client.ts"
import { question } from "./summary.ts"

type Decision = Data.TaggedEnum<{ Yes: {}; No: {}; Nobody: {}; Elsewhere: { readonly run: RunView } }>
const Decision = Data.taggedEnum<Decision>()

const lookEvery = Duration.seconds(2)

const answer = (run: RunView) =>
  Effect.gen(function*() {
    const screen = yield* Screen
    if (!screen.interactive) return Decision.Nobody()
    return Option.match(yield* screen.ask(question(run)), {
      onNone: () => Decision.Nobody(),
      onSome: (typed) => typed.trim() === "yes" ? Decision.Yes() : Decision.No()
    })
  })

/** Ends when the run is no longer planned. */
const elsewhere = (run: RunView) =>
  Effect.gen(function*() {
    const server = yield* ServerClient
    return yield* server.run(run.id).pipe(
      // without a word, which would be written over the question
      Effect.retry({ while: ({ _tag }) => _tag === "ServerUnreachable", schedule: Schedule.spaced(lookEvery) }),
      Effect.repeat({ while: ({ status }) => status === "planned", schedule: Schedule.spaced(lookEvery) }),
      Effect.map((run) => Decision.Elsewhere({ run })),
      Effect.catch(() => Effect.never) // the answer at the prompt will meet the same trouble, and tell it
    )
  })

/**
 * The run after the decision: confirmed, discarded, or still planned because nobody was there to answer. `approving` comes before the
 * server is asked, since the apply may start without its answer.
 */
export const decide = Effect.fn("decide")(function*(run: RunView, approving: Effect.Effect<unknown>) {
  const screen = yield* Screen
  const server = yield* ServerClient
  const decision = yield* screen.interactive ? Effect.raceFirst(answer(run), elsewhere(run)) : answer(run)
  switch (decision._tag) {
    case "Nobody":
      return run
    case "Elsewhere": {
      yield* screen.step(decision.run.status === "discarded" ? "Discarded elsewhere" : "Decided elsewhere")
      return decision.run
    }
    case "Yes": {
      yield* approving
      yield* patiently(server.approve(run.id, run.planSha256))
      return yield* patiently(server.run(run.id))
    }
    case "No": {
      yield* patiently(server.act(run.id, "discard"))
      return yield* patiently(server.run(run.id))
    }
  }
})
