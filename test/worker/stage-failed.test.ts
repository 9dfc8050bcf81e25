// What errors of the file system mean for a stage.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Runtime, Stream } from "effect"
import { saveChecked } from "../../src/worker/network/download.ts"
import { fileTrouble, volumeTrouble } from "../../src/worker/stage-failed.ts"

const trouble = (code: string) => Object.assign(new Error(`${code}: secret details`), { code })

describe("fileTrouble", () => {
  it.each([
    { given: "a full disk", cause: trouble("ENOSPC"), reason: "DiskFull" },
    { given: "a quota", cause: trouble("EDQUOT"), reason: "DiskFull" },
    { given: "a full disk that somebody wrapped", cause: new Error("failed", { cause: trouble("ENOSPC") }), reason: "DiskFull" },
    { given: "missing rights", cause: trouble("EACCES"), reason: "InvalidConfiguration" },
    { given: "something that is no error", cause: "secret details", reason: "InvalidConfiguration" }
  ])("is $reason for $given, and says no more than it must", ({ cause, reason }) => {
    const failure = fileTrouble("the saved plan")(cause)
    expect(failure.reason).toBe(reason)
    expect(failure.message).toMatch(/^The [^\n]*the saved plan[^\n]*\.$/u)
    expect(failure.message).not.toContain("secret")
  })

  it.each([["ENOSPC", 28], ["EDQUOT", 28], ["EACCES", 1]])(
    "ends the container install, which writes no result, on %s with exit code %i",
    (code, exitCode) => expect(Runtime.getErrorExitCode(fileTrouble("the exec loop")(trouble(code)))).toBe(exitCode)
  )

  it("says what helps where the volume is another than the Pod's own", () => {
    const onClaim = volumeTrouble("the claim of the plan", "make it larger")
    expect(onClaim(trouble("ENOSPC"))).toMatchObject({
      reason: "DiskFull",
      message: "There was no room on the claim of the plan for what the worker had to write; make it larger."
    })
    expect(onClaim(trouble("EROFS"))).toMatchObject({
      reason: "InvalidConfiguration",
      message: "Nothing can be written on the claim of the plan, which is read-only; have its storage take writes."
    })
    expect(onClaim(trouble("EACCES"))).toEqual(fileTrouble("the claim of the plan")(trouble("EACCES")))
  })

  it.effect("is DiskFull for a real write to a real full device", () =>
    Effect.gen(function*() {
      const failure = yield* Effect.flip(
        saveChecked(Stream.make(Buffer.alloc(100_000)), "/dev/full", { what: "the archive", sha256: "", limitBytes: 1_000_000 })
      )
      expect(failure.reason).toBe("DiskFull")
    }))
})
