// `agent-job approve RUN` and `agent-job discard RUN`: decide about a plan that waits, from anywhere.
// Invariant: an approval names the seal of its plan, so that no other plan is applied by it; a decision that may have arrived is not sent again.
// Used by agent-job.ts.
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { isRunId } from "../flags/run-or-task.ts"
import { serverFlags } from "../flags/settings.ts"
import { sayingServer, withServer } from "../server/with-server.ts"
import { BadInput, Failed, hadNoEffect, isAwayForNow } from "../terminal/failure.ts"
import { loading } from "../terminal/lazily.ts"

const run = Argument.String("RUN").pipe(Argument.withDescription("A run's id, such as run-k3v9x2."))
const seal = Flag.String("seal").pipe(
  Flag.withMetavar("SEAL"),
  Flag.optional,
  Flag.withDescription("Approve only if the plan's seal begins with this: the 12 characters shown with the plan, or more.")
)

const flags = { approve: { run, seal, ...serverFlags }, discard: { run, ...serverFlags } }

const known = (run: string) =>
  isRunId(run)
    ? Effect.void
    : Effect.fail(new BadInput({ message: `${JSON.stringify(run)} is not the id of a run; \`agent-job get runs\` lists them.` }))

const approveRun = Effect.fn("approve")(function*(given: Command.Command.Config.Infer<typeof flags.approve>) {
  const { run: id } = given
  const seen = Option.getOrUndefined(given.seal)
  yield* known(id)
  if (seen !== undefined && !/^[0-9a-f]{12,64}$/u.test(seen)) {
    return yield* new BadInput({
      message: `${JSON.stringify(seen)} is not the beginning of a seal; give the 12 characters or more that were shown with the plan.`
    })
  }
  yield* withServer(
    given,
    Effect.fnUntraced(function*({ screen, server }) {
      const [{ approved, notApproved }, { patiently }] = yield* loading(() =>
        Promise.all([import("../run/summary.ts"), import("../server/patiently.ts")])
      )
      const saying = sayingServer(server)
      const run = yield* patiently(saying(server.run(id)), isAwayForNow)
      const problem = notApproved(run, seen)
      if (problem !== undefined) return yield* new Failed({ message: problem })
      yield* patiently(saying(server.approve(id, run.planSha256)), hadNoEffect)
      yield* screen.result(approved(run))
    })
  )
})

const discardRun = Effect.fn("discard")(function*(given: Command.Command.Config.Infer<typeof flags.discard>) {
  yield* known(given.run)
  yield* withServer(
    given,
    Effect.fnUntraced(function*({ screen, server }) {
      const { patiently } = yield* loading(() => import("../server/patiently.ts"))
      const saying = sayingServer(server)
      yield* patiently(saying(server.run(given.run)), isAwayForNow)
      yield* patiently(saying(server.act(given.run, "discard")), hadNoEffect)
      yield* screen.result(`${given.run} is discarded; nothing was changed.`)
    })
  )
})

export const approve = Command.make("approve", flags.approve, approveRun).pipe(
  Command.withDescription("Apply the plan of a run that waits for a decision."),
  Command.withExamples([{ command: "agent-job approve run-k3v9x2" }, { command: "agent-job approve run-k3v9x2 --seal 3f9a0c41d2e7" }])
)

export const discard = Command.make("discard", flags.discard, discardRun).pipe(
  Command.withDescription("End a run that waits for a decision, without changing anything."),
  Command.withExamples([{ command: "agent-job discard run-k3v9x2" }])
)
