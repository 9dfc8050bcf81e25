import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { remind } from "../../../src/controller/pool/assignment-reports.ts"
import { Pool } from "../../../src/controller/pool/pool.ts"
import { Uid } from "../../../src/schema/names.ts"
import type { StageResult } from "../../../src/schema/task/stage-result.ts"
import { noon, plainSeed, success, worldOf } from "../../core/worlds.ts"

const claim = { podUid: Uid.make("pod-uid"), nonce: "nonce", epoch: 1, at: noon }

it.effect.each(
  [
    { stage: "apply", given: { claim }, statePushed: false },
    { stage: "destroy", given: { claim }, statePushed: false },
    { stage: "apply", given: {}, statePushed: undefined },
    { stage: "plan", given: { claim }, statePushed: undefined },
    { stage: "apply", given: { claim, result: success }, statePushed: undefined }
  ] as const
)(
  "of a lost $stage with $given says whether the state may lack what it made: $statePushed",
  ({ given, stage, statePushed }) =>
    Effect.gen(function*() {
      const told: Array<StageResult> = []
      const pool = Layer.mock(Pool, { report: (_, __, result) => Effect.sync(() => void told.push(result)) })
      const { task } = worldOf(plainSeed)
      yield* remind("run-1.apply.1", { ...task, spec: { ...task.spec, stage }, status: { phase: "Failed", reason: "NodeLost", ...given } })
        .pipe(Effect.provide(pool))
      expect(told.map((result) => result.statePushed)).toEqual([statePushed])
    })
)
