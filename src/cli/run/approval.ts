// Asks a person before a plan is applied, and approves or discards the run by the answer. Stops asking when the run is decided elsewhere.
// Invariant: only the answer "yes" applies the plan; any other answer discards it, and no answer leaves the run as it is.
// Used by run.
import { Data, Duration, Effect, Option } from "effect"
import type { RunView } from "../../schema/api/run.ts"
import { askAgain, patiently } from "../server/patiently.ts"
import { ServerClient } from "../server/server-client.ts"
import { isLate, mayPass, type ServerFailure } from "../terminal/failure.ts"
import { Screen } from "../terminal/screen.ts"
import { lessOften } from "./follow-run.ts"
import { hasApply, question, stepIsOver } from "./summary.ts"

type Decision = Data.TaggedEnum<{ Yes: {}; No: {}; Nobody: {}; Elsewhere: { readonly run: RunView } }>
const Decision = Data.taggedEnum<Decision>()

/** How often to look while the server gives no usable answer. */
const lookEvery = Duration.seconds(2)

const askPerson = Effect.fnUntraced(function*(run: RunView) {
  const screen = yield* Screen
  if (!screen.interactive) return Decision.Nobody()
  return Option.match(yield* screen.ask(question(run)), {
    onNone: () => Decision.Nobody(),
    onSome: (typed) => typed.trim() === "yes" ? Decision.Yes() : Decision.No()
  })
})

/** Polls the run until it is no longer planned, because somebody decided elsewhere. */
const elsewhere = Effect.fnUntraced(function*(run: RunView) {
  const server = yield* ServerClient
  return yield* server.run(run.id).pipe(
    // retries silently, because a message would overwrite the question
    Effect.retry({ while: mayPass, schedule: askAgain(lookEvery) }),
    Effect.repeat({ while: ({ status }) => status === "planned", schedule: lessOften }),
    Effect.map((run) => Decision.Elsewhere({ run })),
    Effect.catch(() => Effect.never) // the request that follows the answer meets the same error, and reports it
  )
})

const tellElsewhere = ({ status }: RunView) =>
  Effect.flatMap(Screen, (screen) => screen.step(status === "discarded" ? "Discarded elsewhere" : "Decided elsewhere"))

/** Sends the answer and returns the run after it. Also returns the run if the answer is refused because the run was decided before. */
const decided = Effect.fnUntraced(function*(id: string, answer: Effect.Effect<void, ServerFailure>) {
  const server = yield* ServerClient
  const now = patiently(server.run(id))
  return yield* patiently(answer).pipe(
    Effect.andThen(now),
    Effect.catchIf(
      isLate,
      (refused) => Effect.filterOrFail(now, (run) => stepIsOver(run, "plan") && run.status !== "planned", () => refused)
    )
  )
})

/**
 * Returns the run after the decision, or as it was if nobody answered. `approving` runs before the approval is sent, because the apply may
 * start even if the server's response is lost.
 */
export const decide = Effect.fn("decide")(function*(run: RunView, approving: Effect.Effect<unknown>) {
  const screen = yield* Screen
  const server = yield* ServerClient
  const decision = yield* screen.interactive ? Effect.raceFirst(askPerson(run), elsewhere(run)) : askPerson(run)
  switch (decision._tag) {
    case "Nobody":
      return run
    case "Elsewhere":
      return yield* Effect.as(tellElsewhere(decision.run), decision.run)
    case "Yes":
      yield* approving
      return yield* Effect.tap(
        decided(run.id, server.approve(run.id, run.planSha256)),
        (now) => hasApply(now) ? Effect.void : tellElsewhere(now)
      )
    case "No":
      return yield* Effect.tap(
        decided(run.id, server.act(run.id, "discard")),
        (now) => now.status === "discarded" ? Effect.void : tellElsewhere(now)
      )
  }
})
