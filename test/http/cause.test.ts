// Why a request failed: the innermost cause in words, and nothing of an answer.
import { expect, it } from "@effect/vitest"
import { HttpClientError, HttpClientRequest } from "effect/http"
import { causesOf, reasonOf } from "../../src/http/cause.ts"

const request = HttpClientRequest.post("http://pool/acquire")
const coded = (code: string, message: string) => Object.assign(new Error(message), { code })
const failed = (cause?: unknown) =>
  new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request, ...(cause !== undefined && { cause }) }) })
const unparsable = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (cause) {
    return cause
  }
}

it.each([
  { given: "a code", error: failed(coded("ECONNREFUSED", "connect ECONNREFUSED 127.0.0.1:1")), reason: "ECONNREFUSED" },
  { given: "a code under another error", error: failed(new Error("fetch failed", { cause: coded("ENOTFOUND", "") })), reason: "ENOTFOUND" },
  { given: "a code around a message", error: failed(Object.assign(coded("OUTER", ""), { cause: new Error("inner") })), reason: "inner" },
  {
    given: "a message alone",
    error: failed(new Error("it has an address that is never asked")),
    reason: "it has an address that is never asked"
  },
  { given: "a message of several lines", error: new Error("Missing key\n  at [\"id\"]"), reason: "Missing key at [\"id\"]" },
  { given: "an error that says nothing", error: failed(new Error("")), reason: "the connection broke" },
  { given: "what is no error", error: failed("closed"), reason: "the connection broke" },
  { given: "no cause", error: failed(), reason: "Transport error (POST http://pool/acquire)" },
  { given: "an answer that is not JSON", error: failed(unparsable("{\"token\": secret}")), reason: "it answers what is not JSON" }
])("says the innermost cause, of $given", ({ error, reason }) => expect(reasonOf(error)).toBe(reason))

it("lists the causes on the way down", () => {
  const inner = new Error("inner")
  const outer = new Error("outer", { cause: inner })
  expect(causesOf(outer)).toEqual([outer, inner])
  expect(causesOf("text")).toEqual(["text"])
})
