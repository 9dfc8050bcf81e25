// Answers that are made of the outputs of a stored state, or why its outputs are not given out.
// Invariant: no more of outputs is in memory than server/access/bodies has room for.
// Used by state-routes and tfe/tfe-state-routes.
import { Effect, Result } from "effect"
import type { HttpServerResponse } from "effect/http"
import { isLongerThan } from "../../core/text/json-length.ts"
import { Bodies } from "../access/bodies.ts"
import type { Caller } from "../access/tokens.ts"
import { invalid, notFound, Refused } from "../refused.ts"
import { Heap } from "../workspace/state-body.ts"
import { exactValues, type Outputs, outputsIn, type Unread } from "../workspace/state-content.ts"
import { type StateVersion, StateVersions } from "../workspace/state-versions.ts"

/**
 * The most bytes of outputs in one answer. A person reads a few kilobytes of them, and other programs pass on what a configuration can
 * hold.
 */
const outputsLimitBytes = 4 * 1024 * 1024

const tooLarge = (message: string) => new Refused({ status: 413, error: "too-large", message })

const longOutputs = ({ id }: StateVersion) =>
  tooLarge(
    `These outputs of ${id} are more than ${outputsLimitBytes} bytes, which are not given out at once; ask for one of them, or take the whole state from /api/v2/state-versions/${id}/download.`
  )

/** The refusals of a state whose outputs cannot be read. One may be no state at all: of a stage's only the head was read when it was stored. */
const unread: Readonly<Record<Unread, (version: StateVersion) => Refused>> = {
  "no-state": ({ id, serial }) =>
    invalid(
      `The state ${id} with the serial ${serial} is not as the engines write one, so its outputs cannot be read; look at it at /api/v2/state-versions/${id}/download, and push a good one over it.`
    ),
  encrypted: ({ id, serial }) =>
    invalid(
      `The engine encrypted the state ${id} with the serial ${serial}, so the server cannot read its outputs; take it from /api/v2/state-versions/${id}/download to where its key is.`
    ),
  "too-much": ({ id, serial }) =>
    tooLarge(
      `The state ${id} with the serial ${serial} is too large for the server to look into, so its outputs are not given out; give the server's container more memory, or take the whole state from /api/v2/state-versions/${id}/download.`
    ),
  "too-many": ({ id }) =>
    tooLarge(
      `The outputs of ${id} are more than ${exactValues} values, and a number among them has more digits than are read of so many; take the whole state from /api/v2/state-versions/${id}/download.`
    )
}

/** The least that each printed output has around its name and its value, so that too many outputs are seen before they are printed. */
const aroundOutputBytes = 128

const lengthOf = ({ body }: HttpServerResponse.HttpServerResponse): number => body._tag === "Uint8Array" ? body.contentLength : 0

export const makeOutputs = Effect.gen(function*() {
  const bodies = yield* Bodies
  const heapBytes = yield* Heap
  const states = yield* StateVersions

  /** Returns the answer that `shown` makes of the outputs that `asked` selects. The state has its room until then. */
  return (
    caller: Caller,
    version: StateVersion,
    asked: (outputs: Outputs) => Outputs,
    shown: (outputs: Outputs) => HttpServerResponse.HttpServerResponse | undefined
  ) => {
    /** Makes the answer in one step, as state-content asks. */
    const answerOf = (bytes: Uint8Array): Result.Result<HttpServerResponse.HttpServerResponse, Refused> => {
      const all = outputsIn(heapBytes, bytes)
      if (typeof all === "string") return Result.fail(unread[all](version))
      const outputs = asked(all)
      if (outputs.length * aroundOutputBytes > outputsLimitBytes || isLongerThan(outputsLimitBytes, outputs)) {
        return Result.fail(longOutputs(version))
      }
      const answer = shown(outputs)
      if (answer === undefined) return Result.fail(notFound())
      return lengthOf(answer) > outputsLimitBytes ? Result.fail(longOutputs(version)) : Result.succeed(answer)
    }
    return bodies.room(caller, version.sizeBytes, Effect.flatMap(states.read(version), (bytes) => Effect.fromResult(answerOf(bytes))))
  }
})
