import * as NodeServices from "@effect/platform-node/NodeServices"
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { parse } from "yaml"
import { print } from "../../../src/cli/terminal/answer.ts"
import { printed } from "../typed.ts"

const yaml = (document: unknown) => printed(print("yaml", { document, lines: [] })).pipe(Effect.provide(NodeServices.layer))

it.effect("is YAML whose text kubectl and kustomize, which read YAML 1.1, do not take for anything else", () =>
  Effect.gen(function*() {
    const document = { workspace: "on", no: ["n", "y", "1_000", "0b101", "2001-01-01", "12:30:45", "<<"] }
    const text = yield* yaml(document)
    expect(text).toBe(
      `workspace: "on"\n"no":\n  - "n"\n  - "y"\n  - "1_000"\n  - "0b101"\n  - "2001-01-01"\n  - "12:30:45"\n  - "<<"\n`
    )
    expect(parse(text, { version: "1.1" })).toEqual(document)
  }))

it.effect("is YAML without broken lines", () =>
  Effect.gen(function*() {
    const said = "a word ".repeat(20).trim()
    expect(yield* yaml({ said })).toBe(`said: ${said}\n`)
  }))
