// Which options a task may have, and what its author is told of one that only a newer version knows.
import { describe, expect, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { unknownOption } from "../../../src/core/task/unknown-option.ts"
import { programVersion } from "../../../src/schema/program-version.ts"
import { PlanOptions, ToldOptions } from "../../../src/schema/task/agent-task.ts"

const told = Schema.decodeUnknownSync(ToldOptions)

describe("the options of a task", () => {
  it.prop("are carried out when all of them are known", [PlanOptions], ([options]) => {
    expect(told(JSON.parse(JSON.stringify(options)))).toEqual(options)
    expect(unknownOption(told(options), "worker")).toEqual(Option.none())
  })
  it("are carried out when there are none", () => expect(unknownOption(undefined, "controller")).toEqual(Option.none()))

  it.each(
    [
      { by: "controller", upgrade: "the controller" },
      { by: "worker", upgrade: "the worker's image (agent.image)" }
    ] as const
  )(
    "are refused by the $by when one is not known",
    ({ by, upgrade }) =>
      expect(unknownOption(told({ refresh: false, excludes: ["a.b"] }), by)).toEqual(
        Option.some(
          `The ${by}, of agent-job ${programVersion}, does not know options.excludes, so nothing was run; upgrade ${upgrade}, then run it again.`
        )
      )
  )

  it("are refused with the beginning of a long name, on one line", () =>
    expect(Option.getOrThrow(unknownOption(told({ ["x\n".repeat(5000)]: true }), "worker"))).toMatch(/^[^\n]{1,300}$/u))
})
