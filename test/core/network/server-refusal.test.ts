// What an answer of the server means: whether it is the server's own, and whether asking again may help.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { meaningOf, problemIn } from "../../../src/core/network/server-refusal.ts"

const problem = (error: string) => JSON.stringify({ error, message: "No." })
const meaning = (status: number, text: string) => meaningOf(status, problemIn(text))._tag

describe("an answer", () => {
  it.each([
    { given: "a token that is not accepted", status: 401, error: "unauthorized", means: "TokenRefused" },
    { given: "too many requests", status: 429, error: "too-many-requests", means: "AskAgain" },
    { given: "an error of its own", status: 500, error: "internal", means: "AskAgain" },
    { given: "a full disk", status: 503, error: "storage", means: "AskAgain" },
    { given: "a request that broke off", status: 400, error: "bad-request", means: "AskAgain" },
    { given: "a body that was damaged on its way", status: 409, error: "digest-mismatch", means: "AskAgain" },
    { given: "a request that did not arrive in time", status: 408, error: "request-timeout", means: "AskAgain" },
    { given: "a request that makes no sense", status: 400, error: "invalid", means: "Final" },
    { given: "a refusal that only a newer server has", status: 409, error: "not-yet-known", means: "Final" }
  ])("to $given means $means", ({ error, means, status }) => expect(meaning(status, problem(error))).toBe(means))

  it.prop("in another form is not the server's, whatever its status", [Schema.Int, Schema.String], ([status, text]) => {
    expect([meaning(status, text), meaning(status, problem(`${text} Not Found`))]).toEqual(["NotOwn", "NotOwn"])
  })

  it.each([202, 204, 307])(
    "that is no refusal, %i, is not the server's, whatever it says",
    (status) => expect(meaning(status, problem("moved"))).toBe("NotOwn")
  )
})
