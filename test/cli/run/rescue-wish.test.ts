// Of the flags of `agent-job state rescue` at most one says what is done, and --seen belongs to those that settle.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option, Result } from "effect"
import { type RescueFlags, Wish, wishOf } from "../../../src/cli/run/rescue-wish.ts"

const none = { use: Option.none(), keep: false, seen: Option.none(), import: false, file: Option.none(), importBlocks: Option.none() }
const single: Readonly<Record<string, Partial<RescueFlags>>> = {
  "--use": { use: Option.some("ev-1") },
  "--keep": { keep: true },
  "--import": { import: true },
  "--file": { file: Option.some("/f") },
  "--import-blocks": { importBlocks: Option.some("/b") }
}
const wished = (flags: Partial<RescueFlags>) => Effect.runSync(Effect.result(wishOf({ ...none, ...flags })))
const refusal = (flags: Partial<RescueFlags>) =>
  Result.match(wished(flags), { onFailure: ({ message }) => message, onSuccess: ({ _tag }) => _tag })

describe("the wish of a rescue", () => {
  it.each([
    { given: {}, is: Wish.Look() },
    { given: single["--use"], is: Wish.Settle({ use: Option.some("ev-1"), seen: Option.none() }) },
    { given: single["--keep"], is: Wish.Settle({ use: Option.none(), seen: Option.none() }) },
    { given: { keep: true, seen: Option.some("a,b") }, is: Wish.Settle({ use: Option.none(), seen: Option.some("a,b") }) },
    { given: single["--import"], is: Wish.Import() },
    { given: single["--file"], is: Wish.Bring({ file: "/f" }) },
    { given: single["--import-blocks"], is: Wish.WriteBlocks({ file: "/b" }) }
  ])("is $is._tag for $given", ({ given, is }) => expect(wished(given ?? {})).toEqual(Result.succeed(is)))

  it("is one alone", () => {
    for (const [one, flags] of Object.entries(single)) {
      for (const [other, more] of Object.entries(single)) {
        if (one === other) continue
        expect(refusal({ ...flags, ...more })).toBe(
          "--use, --keep, --file, --import and --import-blocks exclude each other; give one of them."
        )
      }
    }
  })

  it.each(["", "--import", "--file", "--import-blocks"])(
    "takes no --seen unless it settles: %s",
    (flag) => expect(refusal({ ...single[flag], seen: Option.some("a") })).toBe("--seen needs --use or --keep; add one of them.")
  )
})
