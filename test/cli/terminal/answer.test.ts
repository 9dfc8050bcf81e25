// What commands print of their answers: lines for people, JSON and YAML for programs.
import * as NodeServices from "@effect/platform-node/NodeServices"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { parse } from "yaml"
import { type Answer, type Format, print } from "../../../src/cli/terminal/answer.ts"
import { printed } from "../typed.ts"

const answer = (format: Format, { document = {}, lines = [] }: Partial<Answer>) =>
  printed(print(format, { document, lines })).pipe(Effect.provide(NodeServices.layer))
const yaml = (document: unknown) => answer("yaml", { document })

it.effect.each<{ format: Format; text: string }>([
  { format: "table", text: "NAME  SERIAL\ndemo  7\n" },
  { format: "json", text: `{\n  "name": "demo",\n  "serial": 7\n}\n` },
  { format: "yaml", text: "name: demo\nserial: 7\n" }
])("is, as $format, in the form that is read there", ({ format, text }) =>
  Effect.gen(function*() {
    expect(yield* answer(format, { document: { name: "demo", serial: 7 }, lines: ["NAME  SERIAL", "demo  7"] })).toBe(text)
  }))

it.effect("is YAML whose text kubectl and kustomize, which read YAML 1.1, do not take for anything else", () =>
  Effect.gen(function*() {
    const document = { workspace: "on", no: ["n", "y", "1_000", "0b101", "2001-01-01", "12:30:45", "<<"] }
    const text = yield* yaml(document)
    expect(text).toBe(
      `workspace: "on"\n"no":\n  - "n"\n  - "y"\n  - "1_000"\n  - "0b101"\n  - "2001-01-01"\n  - "12:30:45"\n  - "<<"\n`
    )
    expect(parse(text, { version: "1.1" })).toEqual(document)
  }))

it.effect.each([
  { what: "a tab in its first line", said: "\n\ta\nb\n", written: String.raw`"\n\ta\nb\n"` },
  { what: "blanks and ends of lines alone", said: " \n", written: String.raw`" \n"` },
  { what: "what ends a line there", said: "a\u0085b\u2028c\u2029", written: String.raw`"a\u0085b\u2028c\u2029"` },
  {
    what: "what is left out or refused there",
    said: "\u007f\u009f\ufeff\ufffe\uffff",
    written: String.raw`"\u007f\u009f\ufeff\ufffe\uffff"`
  }
])("is YAML whose text they read as it is, with $what", ({ said, written }) =>
  Effect.gen(function*() {
    const text = yield* yaml({ [said]: said })
    expect(text).toBe(`${written}: ${written}\n`)
    expect(parse(text, { version: "1.1" })).toEqual({ [said]: said })
  }))

it.effect("shows people no text in another order than it has, and leaves programs the text as it is", () =>
  Effect.gen(function*() {
    const said = "fine\u202edeliaf"
    expect(yield* answer("table", { lines: [said] })).toBe("fine\\u202edeliaf\n")
    expect(parse(yield* yaml({ said }))).toEqual({ said })
  }))

it.effect("has a line for each that is told, also of what somebody has named, or a server keeps, with more", () =>
  Effect.gen(function*() {
    const lines = [
      "Unlocked by force: of Eve\r\n  agent-job state rescue demo --keep",
      "Failed: The worker is gone.\nrun-b   workspace demo   applied",
      "  agent-job logs  run-a"
    ]
    expect(yield* answer("table", { lines })).toBe(
      "Unlocked by force: of Eve agent-job state rescue demo --keep\nFailed: The worker is gone. run-b   workspace demo   applied\n  agent-job logs  run-a\n"
    )
  }))

it.effect("is YAML without broken lines", () =>
  Effect.gen(function*() {
    const said = "a word ".repeat(20).trim()
    expect(yield* yaml({ said })).toBe(`said: ${said}\n`)
  }))

it.effect("is YAML with all digits of a number, as JSON has them", () =>
  Effect.gen(function*() {
    const numbers = ["12345678901234567890", "0.1000000000000000055511151231257827", "1e400"]
    expect(yield* yaml({ numbers: numbers.map(JSON.rawJSON), text: "1e400" })).toBe(
      `numbers:\n${numbers.map((number) => `  - ${number}\n`).join("")}text: "1e400"\n`
    )
  }))
