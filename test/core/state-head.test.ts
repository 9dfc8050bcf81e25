import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { stateHead } from "../../src/core/state-head.ts"

const headOf = (text: string) => Option.getOrUndefined(stateHead(new TextEncoder().encode(text)))
const unknown = { serial: 0, lineage: "" }

describe("the head of a state", () =>
  it.each([
    {
      given: "as OpenTofu writes it",
      text:
        "{\n  \"version\": 4,\n  \"terraform_version\": \"1.12.0\",\n  \"serial\": 7,\n  \"lineage\": \"a-b\",\n  \"resources\": []\n}\n",
      head: { serial: 7, lineage: "a-b" }
    },
    { given: "without any blanks", text: "{\"version\":4,\"serial\":7,\"lineage\":\"a\"}", head: { serial: 7, lineage: "a" } },
    { given: "with nothing before the serial", text: "{\"serial\":7,\"lineage\":\"a\"}", head: { serial: 7, lineage: "a" } },
    {
      given: "cut off within what comes later",
      text: `{"serial":7,"lineage":"a","x":"${"ü".repeat(2000)}"}`,
      head: { serial: 7, lineage: "a" }
    },
    { given: "in another order", text: "{\"lineage\":\"a\",\"serial\":7}", head: unknown },
    { given: "with a serial that is not its own", text: "{\"resources\":[{\"serial\":7,\"lineage\":\"a\"}]}", head: unknown },
    { given: "with a serial that no number can be", text: "{\"serial\":7000000000000000,\"lineage\":\"a\"}", head: unknown },
    { given: "of no object", text: "[{\"serial\":7,\"lineage\":\"a\"}]", head: undefined },
    { given: "of half an object", text: "{\"serial\":7,\"lineage\":\"a\"", head: undefined },
    { given: "of nothing", text: " \n", head: undefined }
  ])("$given", ({ head, text }) => expect(headOf(text)).toEqual(head)))
